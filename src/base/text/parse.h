// Defines the result of parsing bytes that arrive piece by piece.
#pragma once

namespace bottle {

// A parser returns `incomplete` only while further bytes can still make the input valid.
enum class Parse { incomplete, ok, bad };

}  // namespace bottle
