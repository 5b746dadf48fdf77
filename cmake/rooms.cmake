# Defines functions for rooms. Each folder of src/ is a library that can include only the headers of the rooms that its
# line in src/CMakeLists.txt names.

# precompiled(TARGET KIND HEADERS...): compiles the target with common headers, which the first target of each kind
# compiles for all of them. Targets of one kind have the same options.
#
# with_headers_of_rooms(TARGET): compiles a program's own file with the common headers of the rooms.
function(precompiled target kind)
  if(NOT BOTTLE_PRECOMPILED)
    return()
  endif()
  get_property(first GLOBAL PROPERTY BOTTLE_PRECOMPILED_${kind})
  if(first)
    target_precompile_headers(${target} REUSE_FROM ${first})
  else()
    set_property(GLOBAL PROPERTY BOTTLE_PRECOMPILED_${kind} ${target})
    target_precompile_headers(${target} PRIVATE ${ARGN})
  endif()
  if(CMAKE_CXX_COMPILER_ID STREQUAL "Clang")
    target_compile_options(${target} PRIVATE "SHELL:-Xclang -fno-pch-timestamp")
  endif()
endfunction()
function(with_headers_of_rooms target)
  precompiled(${target} room ${CMAKE_SOURCE_DIR}/src/precompiled.h)
  if(BOTTLE_PRECOMPILED)
    target_compile_options(${target} PRIVATE -fPIC)  # as the rooms, instead of CMake's -fPIE for programs
  endif()
endfunction()

# covered(TARGET PATH OUT): in a build for scripts/coverage, makes the code of the room at PATH count how often each of
# its lines runs. Sets OUT to ON if the target is such code, because it cannot use headers that were precompiled without
# counters.
function(covered target path out)
  set(${out} OFF PARENT_SCOPE)
  if(BOTTLE_COVERAGE AND "${path}/" MATCHES "^${BOTTLE_COVERAGE}/")
    target_compile_options(${target} PRIVATE -fprofile-instr-generate -fcoverage-mapping)
    target_link_options(${target} INTERFACE -fprofile-instr-generate)
    set(${out} ON PARENT_SCOPE)
  endif()
endfunction()

# headers(TARGET FOLDER...): gives the target an include root of its own, which contains only links to the headers of
# these folders of src/. A header of a room that is not on a target's line is not on its include path either.
function(headers target)
  set(root ${CMAKE_BINARY_DIR}/include/${target})
  foreach(folder ${ARGN})
    file(GLOB names RELATIVE ${CMAKE_SOURCE_DIR}/src CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${folder}/*.h)
    file(MAKE_DIRECTORY ${root}/${folder})
    file(GLOB old RELATIVE ${root} ${root}/${folder}/*.h)
    foreach(name ${old})
      if(NOT name IN_LIST names)
        file(REMOVE ${root}/${name})
      endif()
    endforeach()
    foreach(name ${names})
      if(NOT EXISTS ${root}/${name})
        file(CREATE_LINK ${CMAKE_SOURCE_DIR}/src/${name} ${root}/${name} SYMBOLIC)
      endif()
    endforeach()
  endforeach()
  target_include_directories(${target} PUBLIC ${root})
endfunction()

# unit_test(PROGRAM [SHARDS]): lets ctest run all tests of a program in one process, or in as many as SHARDS says,
# because starting a process for each test takes longer than most tests. The processes leave the result of each test in
# test-results/. Each process has a /tmp in memory. Sets `names` to the names that ctest knows.
function(unit_test program)
  set(shards 1)
  if(ARGC GREATER 1)
    set(shards ${ARGV1})
  endif()
  foreach(shard RANGE 1 ${shards})
    set(name ${program})
    if(shards GREATER 1)
      set(name ${program}.${shard})
    endif()
    math(EXPR index "${shard} - 1")
    add_test(NAME ${name} WORKING_DIRECTORY ${CMAKE_SOURCE_DIR} COMMAND ${CMAKE_SOURCE_DIR}/cmake/in-memory-tmp
             ${CMAKE_CROSSCOMPILING_EMULATOR} $<TARGET_FILE:${program}> --gtest_brief=1)
    set(environment GTEST_TOTAL_SHARDS=${shards} GTEST_SHARD_INDEX=${index}
                    GTEST_OUTPUT=xml:${CMAKE_BINARY_DIR}/test-results/${name}.xml)
    set_tests_properties(${name} PROPERTIES COST ${shards} ENVIRONMENT "${environment}")  # the longest first
    list(APPEND names ${name})
  endforeach()
  set(names ${names} PARENT_SCOPE)
endfunction()

# targets_of(OUT ROOM...): sets OUT to the libraries of the rooms.
function(targets_of out)
  list(TRANSFORM ARGN REPLACE / _)
  list(TRANSFORM ARGN PREPEND bottle_)
  set(${out} ${ARGN} PARENT_SCOPE)
endfunction()

# together(TARGET): with BOTTLE_TOGETHER, as in the presets release and asan, compiles the files of a target eight at a
# time, which takes a third less time than one by one. A name in an anonymous namespace must then be unique in its
# target, unless it is overloaded.
function(together target)
  if(BOTTLE_TOGETHER)
    set_target_properties(${target} PROPERTIES UNITY_BUILD ON UNITY_BUILD_BATCH_SIZE 8)
  endif()
endfunction()

# room(PATH [APART] [OPTIMIZED] [OPTIMIZED_TESTS] [STARTS_PROGRAMS] [WITH FOLDER...] [SEES ROOM...] [USES LIBRARY...]
# [TESTS_SEE ROOM...] [SHARDS COUNT]): adds the library of src/PATH and, from its *_test.cc files, its unit tests. The
# folders after WITH are subfolders that belong to the room. A room sees the rooms after SEES, and what they see. Only
# the tests of a room that is APART are compiled together, because some of its other files share names or are also
# compiled elsewhere. Debug builds optimize a room that is OPTIMIZED, because it reads many bytes one by one, or because
# it belongs to the guard, whose tests run it under load. They also optimize tests that are OPTIMIZED_TESTS, because
# these go through many cases. Optimizing makes a file take up to twice as long to compile, so debug builds optimize
# nothing else. The tests of a room that STARTS_PROGRAMS spend most of their time in git, hooks or the guard's program;
# ctest gives them the label `programs`. SHARDS is for unit_test().
function(room path)
  cmake_parse_arguments(ARG "APART;OPTIMIZED;OPTIMIZED_TESTS;STARTS_PROGRAMS" "SHARDS" "WITH;SEES;USES;TESTS_SEE"
                        ${ARGN})
  string(REPLACE / _ name ${path})
  set(target bottle_${name})
  set(folders ${path})
  foreach(folder ${ARG_WITH})
    list(APPEND folders ${path}/${folder})
  endforeach()
  set(sources "")
  foreach(folder ${folders})
    file(GLOB more CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/${folder}/*.cc)
    list(APPEND sources ${more})
  endforeach()
  set(tests ${sources})
  list(FILTER sources EXCLUDE REGEX "(_(test|fuzz|main)|/main)\\.cc$")
  list(FILTER tests INCLUDE REGEX "_test\\.cc$")
  targets_of(sees ${ARG_SEES})
  add_library(${target} STATIC ${sources})
  set_target_properties(${target} PROPERTIES LINKER_LANGUAGE CXX)
  if(NOT ARG_APART)
    together(${target})
  endif()
  target_link_libraries(${target} PUBLIC ${sees} ${ARG_USES})
  foreach(folder ${ARG_WITH})  # for fuzz()
    add_library(${target}_${folder} ALIAS ${target})
  endforeach()
  headers(${target} ${folders})
  covered(${target} ${path} is_covered)
  set(kind room)
  if(ARG_OPTIMIZED AND NOT CMAKE_BUILD_TYPE STREQUAL "Release" AND NOT BOTTLE_COVERAGE)
    target_compile_options(${target} PRIVATE -O1)
    set(kind optimized_room)
  endif()
  # These rooms use little processor time, because they mostly wait for engines, machines and people. With -O1, they
  # compile in a sixth less time.
  if(CMAKE_BUILD_TYPE STREQUAL "Release" AND path MATCHES "^(app|machine|manifest|plan|remote|session|workspace)")
    target_compile_options(${target} PRIVATE -O1)
  endif()
  if(NOT is_covered)
    precompiled(${target} ${kind} ${CMAKE_SOURCE_DIR}/src/precompiled.h)
  endif()
  if(BOTTLE_TESTS AND tests)
    targets_of(tests_see ${ARG_TESTS_SEE})
    add_executable(${name}_test ${tests})
    set_target_properties(${name}_test PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR}/test)
    target_link_libraries(${name}_test PRIVATE ${target} ${tests_see} GTest::gtest_main)
    together(${name}_test)
    set(kind test)
    if(ARG_OPTIMIZED_TESTS AND NOT CMAKE_BUILD_TYPE STREQUAL "Release")
      target_compile_options(${name}_test PRIVATE -O1)
      set(kind optimized_test)
    endif()
    precompiled(${name}_test ${kind} ${CMAKE_SOURCE_DIR}/src/precompiled.h <gtest/gtest.h>)
    unit_test(${name}_test ${ARG_SHARDS})
    if(ARG_STARTS_PROGRAMS)
      set_tests_properties(${names} PROPERTIES LABELS programs)
    endif()
  endif()
endfunction()

# fuzz(ROOM NAME [SOURCES FILE...] [SEES ROOM...]): adds NAME_fuzz, which is built from the room's NAME_fuzz.cc and
# runs over the corpus corpus/NAME. The files after SOURCES belong to no library, or compile differently in a fuzzer.
# In the preset asan, ctest replays the corpus. In the preset fuzz, all rooms are compiled with coverage, and
# scripts/fuzz searches for new inputs.
function(fuzz path name)
  if(NOT (BOTTLE_TESTS AND BOTTLE_SANITIZE AND CMAKE_CXX_COMPILER_ID STREQUAL "Clang"))
    return()
  endif()
  cmake_parse_arguments(ARG "" "" "SOURCES;SEES" ${ARGN})
  string(REPLACE / _ room ${path})
  set(folder ${CMAKE_SOURCE_DIR}/src/${path})
  set(corpus_folder ${folder}/corpus/${name})
  file(GLOB corpus CONFIGURE_DEPENDS ${corpus_folder}/*)
  if(NOT corpus)
    message(FATAL_ERROR "${name}_fuzz has no corpus in src/${path}/corpus/${name}")
  endif()
  add_executable(${name}_fuzz ${folder}/${name}_fuzz.cc)
  list(TRANSFORM ARG_SOURCES PREPEND ${folder}/)
  target_sources(${name}_fuzz PRIVATE ${ARG_SOURCES})
  target_compile_definitions(${name}_fuzz PRIVATE FUZZING_BUILD_MODE_UNSAFE_FOR_PRODUCTION)
  target_link_options(${name}_fuzz PRIVATE -fsanitize=fuzzer)
  with_headers_of_rooms(${name}_fuzz)
  targets_of(sees ${ARG_SEES})
  target_link_libraries(${name}_fuzz PRIVATE bottle_${room} ${sees})
  add_test(NAME ${path}.${name}_fuzz COMMAND ${name}_fuzz ${corpus})
  set_property(GLOBAL APPEND_STRING PROPERTY BOTTLE_FUZZERS
               "${name} ${CMAKE_CURRENT_BINARY_DIR}/${name}_fuzz ${corpus_folder}\n")
endfunction()

# program(NAME MAIN SEES ROOM...): adds a program that is linked statically into one file.
function(program name main)
  cmake_parse_arguments(ARG "" "" "SEES" ${ARGN})
  targets_of(sees ${ARG_SEES})
  add_executable(${name} ${CMAKE_SOURCE_DIR}/src/${main})
  target_link_libraries(${name} PRIVATE ${sees})
  target_link_options(${name} PRIVATE ${BOTTLE_STATIC})
  with_headers_of_rooms(${name})
endfunction()
