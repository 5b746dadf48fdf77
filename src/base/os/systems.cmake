# Builds the two implementations of the headers of base/os: for Linux, and for POSIX. A target with the property
# BOTTLE_POSIX is linked with the second, and the preset `portable` links everything with it. All other objects are the
# same.
option(BOTTLE_PORTABLE "link everything with the POSIX implementation of base/os" OFF)
option(BOTTLE_PORTABLE_TESTS "run the unit tests of some rooms once more with the POSIX implementation of base/os" OFF)
define_property(TARGET PROPERTY BOTTLE_POSIX BRIEF_DOCS "linked with the POSIX implementation of base/os")
define_property(TARGET PROPERTY BOTTLE_LINUX BRIEF_DOCS "linked with the Linux implementation in every preset")

foreach(system linux posix)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/base/os/${system}/*.cc)
  add_library(bottle_os_${system} STATIC ${sources})
  together(bottle_os_${system})
  headers(bottle_os_${system} base/os/${system})
  target_link_libraries(bottle_os_${system} PUBLIC bottle_base bottle_base_os)
endforeach()

# Whether the target that links is linked with the POSIX implementation: because of the preset, or at all.
set(posix_by_preset $<AND:$<BOOL:${BOTTLE_PORTABLE}>,$<NOT:$<BOOL:$<TARGET_PROPERTY:BOTTLE_LINUX>>>>)
set(posix $<OR:${posix_by_preset},$<BOOL:$<TARGET_PROPERTY:BOTTLE_POSIX>>>)
target_link_libraries(bottle_base PUBLIC $<LINK_ONLY:$<IF:${posix},bottle_os_posix,bottle_os_linux>>)
target_link_libraries(bottle_base_os PUBLIC bottle_base)

# on_posix(NAME OF), on_linux(NAME OF): builds a second program NAME from the objects and libraries of the program OF,
# linked with that implementation.
function(on_posix name of)
  second_program(${name} ${of})
  set_target_properties(${name} PROPERTIES BOTTLE_POSIX ON)
endfunction()
function(on_linux name of)
  second_program(${name} ${of})
  set_target_properties(${name} PROPERTIES BOTTLE_LINUX ON)
endfunction()
function(second_program name of)
  add_executable(${name} $<TARGET_OBJECTS:${of}>)
  set_target_properties(${name} PROPERTIES LINKER_LANGUAGE CXX)
  get_target_property(libraries ${of} LINK_LIBRARIES)
  target_link_libraries(${name} PRIVATE ${libraries})
  get_target_property(options ${of} LINK_OPTIONS)
  if(options)
    target_link_options(${name} PRIVATE ${options})
  endif()
endfunction()

# portable_test(ROOM...): with BOTTLE_PORTABLE_TESTS, runs the unit tests of these rooms once more with the POSIX
# implementation. In the preset `portable`, all unit tests use it already.
function(portable_test)
  if(NOT BOTTLE_TESTS OR NOT BOTTLE_PORTABLE_TESTS OR BOTTLE_PORTABLE)
    return()
  endif()
  foreach(room ${ARGN})
    string(REPLACE / _ name ${room})
    on_posix(${name}_portable_test ${name}_test)
    set_target_properties(${name}_portable_test PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/test)
    unit_test(${name}_portable_test)
    set_tests_properties(${name}_portable_test PROPERTIES COST 10)  # those of machine mostly wait, so they begin first
  endforeach()
endfunction()
