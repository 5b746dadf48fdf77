// Contains the catalog of the tests: the rules that the program carries, and one known secret.
#pragma once

#include "scan/detector.h"

namespace bottle::scan {

inline constexpr std::string_view kKnown = "q7Hs82-kLmz0_PwX3rTn5v";

// Makes the catalog at the first call. All tests of a program share it.
inline Catalog& catalog() {
  static Catalog made = [] {
    auto catalog = *Catalog::builtin();
    catalog.add_known("deploy", kKnown);
    catalog.build();
    return catalog;
  }();
  return made;
}

}  // namespace bottle::scan
