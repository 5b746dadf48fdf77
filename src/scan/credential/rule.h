// Reads the rules that describe credentials, from a text in the format of docs/rules.md. Pure.
#pragma once

#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

#include "base/error.h"

namespace bottle::scan {

// Names a condition for a match in addition to the pattern.
enum class Check : uint8_t {
  token,         // random, and not a stand-in such as "xxxx" or "<your-key>"
  crc32_base62,  // the same, and certain if the last six characters are the checksum of the others
  aws_key_id,    // the same, but not in the scope of a signed request to AWS, which says whose key signed
  not_base64,    // the same, but not part of a longer text in Base64
  last,          // like `token`, but for only the last `Rule::last` bytes of the match
  azure_sas,     // the same for what follows the first "=" of the match, up to the next parameter
  assigned,      // the value after the match, quoted or not, is not a stand-in
  assignment,    // the same for names that code uses too, so the value must look random
  userinfo,      // the password of a URL
  connection,    // the value after the match, which follows other "name=value;"
  netrc,         // the word after the match, which follows "machine" and "login"
  basic,         // Base64 of "user:password"
  docker_auth,   // the same in Docker's configuration
  jwt,           // its first part is JSON with an "alg"
  discord,       // its first part is a number in Base64
  bitwarden,     // like `token`
  asana,         // like `token`
  x_bearer,      // has more than one letter after the long run of "A"
  pem,           // followed by Base64
  putty,         // followed by Base64
  jwk,           // near a "kty"
  wif,           // Base58 with a checksum
  bip39,         // words of a list, with a checksum in the last one
  luhn,          // a card number
  iban,          // a country's length and a checksum
  random,        // a value of 32 to 64 random characters, whose name does not say that it is harmless
};

// Says what may be adjacent to a match.
enum class Edge : uint8_t {
  any,
  word,   // no letter or digit before the match
  alone,  // also none after it, and it is not part of a checksum in a lock file
};

// Holds a line `yes` or `no` of a rule.
struct Example {
  uint32_t line = 0;  // in its file, from 1
  bool positive = false;
  std::string text;  // with <alnum 36> and similar parts, which rule_examples.h fills in
};

// Holds a rule as parse_rules() read it. The catalog of a scan owns it.
struct Rule {
  std::string id;     // for example, "github-token"
  uint32_t line = 0;  // number of its first line in its file, from 1
  bool off = false;   // one of the operator's rules with the same id replaces it
  std::string is;     // for example, "a GitHub token", as in "a GitHub token in the body"
  std::vector<std::string>
      patterns;                 // regular expressions of vectorscan; if there are none, the survey finds the credential
  std::vector<bool> are_names;  // for each pattern: whether it matches the end of a name, and names.h finds the value
  std::vector<uint32_t> pattern_lines;
  Check check = Check::token;
  uint32_t last = 0;  // used with Check::last
  Edge edge = Edge::any;
  bool warns = false;                // otherwise, the rule blocks
  std::vector<std::string> ignored;  // fingerprints (fingerprint.h) of published examples
  std::vector<Example> examples;
};

// Returns whether the rule's check must know where a match begins, and not only where it ends.
bool needs_beginning(const Rule& rule);

// Returns whether the check also looks at spaces outside of the match, such as those before a value.
bool reads_spaces(Check check);

inline constexpr size_t kMostRules = 1000, kLongestRuleLine = 2000;

// Fails with Code::invalid, and names the line and what is wrong with it. compile() checks whether the patterns are
// valid.
Result<std::vector<Rule>> parse_rules(std::string_view text);

}  // namespace bottle::scan
