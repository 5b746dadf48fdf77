// The rules by which credentials are known: read from a text in the format of docs/rules.md. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace bottle::scan {

// What a match must also be, beside what its pattern says.
enum class Check : uint8_t {
  token,         // random, and not a stand-in such as "xxxx" or "<your-key>"
  crc32_base62,  // the same, and sure if the last six characters are the checksum of the others
  last,          // as token, of the last `Rule::last` bytes of the match only
  assigned,      // the value that follows the match, quoted or not, is no stand-in
  assignment,    // the same for names that code uses too, so the value must look random
  userinfo,      // the password of a URL
  connection,    // the value that follows, after other "name=value;"
  netrc,         // the word that follows, after "machine" and "login"
  basic,         // Base64 of "user:password"
  docker_auth,   // the same, in Docker's configuration
  jwt,           // its first part is JSON with an "alg"
  discord,       // its first part is a number in Base64
  x_bearer,      // has more than one letter after the long row of "A"
  pem,           // Base64 follows
  putty,         // Base64 follows
  jwk,           // "kty" is near
  wif,           // Base58 with a checksum
  bip39,         // words of a list, the last of them a checksum
  luhn,          // a card's number
  iban,          // a country's length and a checksum
};

// What may stand beside a match.
enum class Edge : uint8_t {
  any,
  word,   // no letter or digit before it
  alone,  // nor after it
};

struct Example {
  bool positive = false;
  std::string text;  // with <alnum 36> and the like, which rule_examples.h fills in
};

struct Rule {
  std::string id;                     // "github-token"
  std::string is;                     // "a GitHub token": goes on "… in the body"
  std::vector<std::string> patterns;  // regular expressions of vectorscan; none: the survey finds it
  Check check = Check::token;
  uint32_t last = 0;  // with Check::last
  Edge edge = Edge::any;
  bool warns = false;                // else it blocks
  std::vector<std::string> ignored;  // fingerprints (fingerprint.h) of what is published as an example
  std::vector<Example> examples;
};

inline constexpr size_t kMostRules = 1000, kLongestRuleLine = 2000;

// Code::invalid names the line and what is wrong with it. Whether a pattern is valid, compile() says.
Result<std::vector<Rule>> parse_rules(std::string_view text);

}  // namespace bottle::scan
