# Builds the rules that the program carries, and the database that scan/compiler makes from them during the build.
# The compiler is built from separate source files, because the library of the room needs the database that it makes.
add_executable(compile_rules
               scan/compiler/compile_rules_main.cc
               scan/compiler/atoms.cc scan/compiler/compile.cc scan/compiler/probe.cc scan/compiler/spaces.cc
               scan/compiler/split.cc scan/credential/rule.cc)
headers(compile_rules scan/compiler scan/credential)
target_link_libraries(compile_rules PRIVATE bottle_base ${BOTTLE_hs})
with_headers_of_rooms(compile_rules)
if(CMAKE_BUILD_TYPE STREQUAL "Release")
  target_compile_options(compile_rules PRIVATE -O1)  # it runs once, for a moment
endif()

set(rules ${CMAKE_SOURCE_DIR}/src/scan/rules/credentials.rules)
set(words ${CMAKE_SOURCE_DIR}/src/scan/rules/bip39_english.txt)
set(database ${CMAKE_BINARY_DIR}/embedded/credentials.db)
add_custom_command(OUTPUT ${database} COMMAND compile_rules ${rules} ${database} DEPENDS compile_rules ${rules})
embed(LIBRARY bottle_rules SYMBOLS bottle_rules_database=${database} bottle_rules=${rules} bottle_bip39=${words})
