# What `bottle` carries within itself, byte for byte.

# embed(LIBRARY NAME SYMBOLS SYMBOL=FILE...): makes a static library. The bytes of each file are between SYMBOL_begin
# and SYMBOL_end. They are aligned to 64 bytes, as vectorscan wants its database.
function(embed)
  cmake_parse_arguments(ARG "" "LIBRARY" "SYMBOLS" ${ARGN})
  set(name ${ARG_LIBRARY})
  set(source ${CMAKE_BINARY_DIR}/embedded/${name}.S)
  set(bytes "")
  set(files "")
  foreach(pair ${ARG_SYMBOLS})
    string(REGEX MATCH "^([^=]+)=(.+)$" pair ${pair})
    set(symbol ${CMAKE_MATCH_1})
    set(file ${CMAKE_MATCH_2})
    list(APPEND files ${file})
    string(APPEND bytes "
    .global ${symbol}_begin, ${symbol}_end
    .balign 64
${symbol}_begin: .incbin \"${file}\"
${symbol}_end:")
  endforeach()
  file(GENERATE OUTPUT ${source} CONTENT "
    .section .rodata${bytes}
    .section .note.GNU-stack,\"\",%progbits
")
  add_library(${name} STATIC ${source})
  set_source_files_properties(${source} PROPERTIES OBJECT_DEPENDS "${files}")
endfunction()

# The two programs that run in containers.
file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/embedded)
if(NOT APPLE)
  # Without symbols: they are copied at each start. The files of the build keep theirs.
  foreach(program guard inside)
    set(bare_${program} ${CMAKE_BINARY_DIR}/embedded/${program})
    add_custom_command(OUTPUT ${bare_${program}} DEPENDS ${program}
                       COMMAND ${CMAKE_STRIP} -o ${bare_${program}} $<TARGET_FILE:${program}>)
  endforeach()
  # The name of the guard's image contains its digest, which every start needs.
  set(digest ${CMAKE_BINARY_DIR}/embedded/guard.sha256)
  add_custom_command(OUTPUT ${digest} DEPENDS ${bare_guard}
    COMMAND ${CMAKE_COMMAND} -DFILE=${bare_guard} -DDIGEST=${digest} -P ${CMAKE_SOURCE_DIR}/cmake/digest.cmake)
  embed(LIBRARY bottle_embedded
        SYMBOLS bottle_guard_digest=${digest}
                bottle_guard=${bare_guard}
                bottle_inside=${bare_inside}
                bottle_bootstrap=${CMAKE_SOURCE_DIR}/images/bootstrap.sh)
  add_dependencies(bottle_embedded guard inside)
endif()

# The providers, and the VM's own program, are carried inside `bottle`, byte for byte.
file(GLOB_RECURSE carried RELATIVE ${CMAKE_SOURCE_DIR}/providers CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/providers/*)
list(FILTER carried EXCLUDE REGEX "(^|/)(__pycache__|\\.|test|README)|~$|\\.pyc$")
set(bytes "")
set(table "")
set(files ${CMAKE_SOURCE_DIR}/src/machine/vm_side.sh)
set(number 0)
foreach(path ${carried})
  string(APPEND bytes "name_${number}: .asciz \"${path}\"\n"
                      "file_${number}: .incbin \"${CMAKE_SOURCE_DIR}/providers/${path}\"\nend_${number}:\n")
  string(APPEND table "    .quad name_${number}, file_${number}, end_${number}\n")
  list(APPEND files ${CMAKE_SOURCE_DIR}/providers/${path})
  math(EXPR number "${number} + 1")
endforeach()
file(GENERATE OUTPUT ${CMAKE_BINARY_DIR}/embedded/carried.S CONTENT "
    .section .rodata
    .global bottle_vm_side_begin, bottle_vm_side_end
bottle_vm_side_begin: .incbin \"${CMAKE_SOURCE_DIR}/src/machine/vm_side.sh\"
bottle_vm_side_end:
${bytes}
    .section .data.rel.ro,\"aw\",%progbits
    .global bottle_carried_begin, bottle_carried_end
    .balign 8
bottle_carried_begin:
${table}bottle_carried_end:
    .section .note.GNU-stack,\"\",%progbits
")
add_library(bottle_carried STATIC ${CMAKE_BINARY_DIR}/embedded/carried.S)
set_source_files_properties(${CMAKE_BINARY_DIR}/embedded/carried.S PROPERTIES OBJECT_DEPENDS "${files}")
