# Defines the program `bottle`: its manual pages, and where it is installed.
target_compile_definitions(bottle_app PUBLIC BOTTLE_VERSION="${PROJECT_VERSION}")

# The program contains the manual pages unchanged.
file(GLOB pages CONFIGURE_DEPENDS ${CMAKE_SOURCE_DIR}/src/app/commands/*.md)
set(documents events guard images look manifest plan providers remote rules ssh)
list(TRANSFORM documents REPLACE "(.+)" "${CMAKE_SOURCE_DIR}/docs/\\1.md" OUTPUT_VARIABLE document_files)
set_property(DIRECTORY APPEND PROPERTY CMAKE_CONFIGURE_DEPENDS ${pages} ${document_files})
set(texts "#include \"app/commands/commands.h\"\n\nnamespace bottle::app {\n\n")
string(APPEND texts "std::string_view page_text(std::string_view name) {\n")
foreach(page ${pages})
  get_filename_component(name ${page} NAME_WE)
  file(READ ${page} text)
  string(APPEND texts "  if (name == \"${name}\") return R\"~page~(${text})~page~\";\n")
endforeach()
string(APPEND texts "  return {};\n}\n")
# It also contains the pages of docs that the manual pages refer to, for an operator who has only the program.
string(APPEND texts "\nstd::string_view document_text(std::string_view name) {\n")
foreach(name ${documents})
  file(READ ${CMAKE_SOURCE_DIR}/docs/${name}.md text)
  string(APPEND texts "  if (name == \"docs/${name}.md\") return R\"~page~(${text})~page~\";\n")
endforeach()
string(APPEND texts "  return {};\n}\n")
list(TRANSFORM documents REPLACE "(.+)" "\"docs/\\1.md\"" OUTPUT_VARIABLE quoted)
list(JOIN quoted ", " quoted)
string(APPEND texts "\nstd::span<const std::string_view> documents() {\n"
                    "  static constexpr std::string_view kNames[] = {${quoted}};\n  return kNames;\n}\n")
string(APPEND texts "\n}  // namespace bottle::app\n")
file(CONFIGURE OUTPUT ${CMAKE_BINARY_DIR}/embedded/pages.cc CONTENT "${texts}" @ONLY)
target_sources(bottle_app PRIVATE ${CMAKE_BINARY_DIR}/embedded/pages.cc)

add_executable(bottle app/main.cc)
target_link_libraries(bottle PRIVATE bottle_app)
target_link_options(bottle PRIVATE ${BOTTLE_STATIC})
with_headers_of_rooms(bottle)
set_target_properties(bottle PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})

# Builds bottle as on a system that is not Linux: from the same objects, with the POSIX implementation of base/os. A far
# side is always Linux, so this program sends it bottle-linux-ARCHITECTURE from its own directory
# (remote/link/far_side.h).
set(linux_name bottle-linux-${CMAKE_SYSTEM_PROCESSOR})
if(BOTTLE_PORTABLE)
  on_linux(${linux_name} bottle)
  set_target_properties(${linux_name} PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
else()
  on_posix(bottle-portable bottle)
  set_target_properties(bottle-portable PROPERTIES RUNTIME_OUTPUT_DIRECTORY ${CMAKE_BINARY_DIR})
  file(CREATE_LINK bottle ${CMAKE_BINARY_DIR}/${linux_name} SYMBOLIC)
endif()

install(TARGETS bottle)
install(CODE "
  set(pages \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/share/man/man1\")
  execute_process(COMMAND \"$<TARGET_FILE:bottle>\" man --write \"\${pages}\" COMMAND_ERROR_IS_FATAL ANY)")
install(CODE "
  foreach(place bash:share/bash-completion/completions/bottle
                zsh:share/zsh/site-functions/_bottle
                fish:share/fish/vendor_completions.d/bottle.fish)
    string(REPLACE : \";\" pair \${place})
    list(GET pair 0 shell)
    list(GET pair 1 path)
    execute_process(COMMAND \"$<TARGET_FILE:bottle>\" completion \${shell}
                    OUTPUT_VARIABLE script COMMAND_ERROR_IS_FATAL ANY)
    file(WRITE \"\$ENV{DESTDIR}\${CMAKE_INSTALL_PREFIX}/\${path}\" \"\${script}\")
  endforeach()")
