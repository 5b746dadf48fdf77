#include <nlohmann/json.hpp>

// The one place where it is compiled; precompiled.h tells all others so.
template class nlohmann::basic_json<>;
