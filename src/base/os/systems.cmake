# The operating system behind the headers of base/os: Linux, or what POSIX has. A target with the property BOTTLE_POSIX is
# linked with the second, and the preset `portable` links everything with it. All other objects are the same.
option(BOTTLE_PORTABLE "link everything with the POSIX implementation of base/os" OFF)
define_property(TARGET PROPERTY BOTTLE_POSIX BRIEF_DOCS "linked with the POSIX implementation of base/os")

foreach(system linux posix)
  file(GLOB sources CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/base/os/${system}/*.cc)
  add_library(bottle_os_${system} STATIC ${sources})
  target_include_directories(bottle_os_${system} PRIVATE ${CMAKE_SOURCE_DIR}/src)
  target_link_libraries(bottle_os_${system} PUBLIC bottle_base)
endforeach()

set(posix $<OR:$<BOOL:${BOTTLE_PORTABLE}>,$<BOOL:$<TARGET_PROPERTY:BOTTLE_POSIX>>>)
target_link_libraries(bottle_base PUBLIC $<LINK_ONLY:$<IF:${posix},bottle_os_posix,bottle_os_linux>>)
target_link_libraries(bottle_base_os PUBLIC bottle_base)

# on_posix(NAME OF): a second program NAME from the objects and libraries of the program OF, linked with the POSIX
# implementation.
function(on_posix name of)
  add_executable(${name} $<TARGET_OBJECTS:${of}>)
  set_target_properties(${name} PROPERTIES BOTTLE_POSIX ON LINKER_LANGUAGE CXX)
  target_link_libraries(${name} PRIVATE $<TARGET_PROPERTY:${of},LINK_LIBRARIES>)
  target_link_options(${name} PRIVATE $<TARGET_PROPERTY:${of},LINK_OPTIONS>)
endfunction()
