# What `bottle` carries within itself, byte for byte.

# The two programs that run in containers.
file(MAKE_DIRECTORY ${CMAKE_BINARY_DIR}/embedded)
if(NOT APPLE)
  # Without symbols: they are copied at each start. The files of the build keep theirs.
  foreach(program guard inside)
    set(bare_${program} ${CMAKE_BINARY_DIR}/embedded/${program})
    add_custom_command(OUTPUT ${bare_${program}} COMMAND ${CMAKE_STRIP} -o ${bare_${program}} $<TARGET_FILE:${program}> DEPENDS ${program})
  endforeach()
  set(embedded ${CMAKE_BINARY_DIR}/embedded/programs.S)
  file(GENERATE OUTPUT ${embedded} CONTENT "
    .section .rodata
    .global bottle_guard_begin, bottle_guard_end, bottle_inside_begin, bottle_inside_end
    .global bottle_bootstrap_begin, bottle_bootstrap_end
    .balign 16
bottle_guard_begin: .incbin \"${bare_guard}\"
bottle_guard_end:
    .balign 16
bottle_bootstrap_begin: .incbin \"${CMAKE_SOURCE_DIR}/images/bootstrap.sh\"
bottle_bootstrap_end:
    .balign 16
bottle_inside_begin: .incbin \"${bare_inside}\"
bottle_inside_end:
    .section .note.GNU-stack,\"\",%progbits
")
  add_library(bottle_embedded STATIC ${embedded})
  set_source_files_properties(${embedded} PROPERTIES OBJECT_DEPENDS "${bare_guard};${bare_inside};${CMAKE_SOURCE_DIR}/images/bootstrap.sh")
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
  string(APPEND bytes "name_${number}: .asciz \"${path}\"\nfile_${number}: .incbin \"${CMAKE_SOURCE_DIR}/providers/${path}\"\nend_${number}:\n")
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
