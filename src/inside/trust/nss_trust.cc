// Writes the smallest file that NSS accepts: a SQLite database with one table and, for each authority, two rows: the
// certificate, and what it is trusted for. Linking NSS or SQLite would make the helper many times larger, and only
// some images have `certutil`. One page holds the schema and one holds all rows, so the file needs no inner pages of
// a B-tree. 64 KB is SQLite's largest page.

#include "inside/trust/nss_trust.h"

#include <array>
#include <cstdint>
#include <optional>
#include <vector>

#include "inside/trust/bytes.h"
#include "inside/trust/pem.h"

namespace bottle::inside {
namespace {

// Holds a certificate, and the parts by which NSS looks it up. All are views of DER elements with their heads.
struct Certificate {
  std::string_view der, serial, issuer, subject;
};

// Takes one DER element with its head from the front of `rest`. `content` is what is inside.
std::optional<std::string_view> take(std::string_view& rest, std::string_view& content) {
  auto byte = [&](size_t i) { return static_cast<unsigned char>(rest[i]); };
  if (rest.size() < 2) return std::nullopt;
  size_t head = 2, size = byte(1);
  if (size & 0x80) {
    size_t count = size & 0x7f;
    // DER has no indefinite length, and 3 bytes are more than a certificate needs.
    if (count == 0 || count > 3 || rest.size() < 2 + count) return std::nullopt;
    size = 0;
    for (; head < 2 + count; ++head) size = size << 8 | byte(head);
  }
  if (size > rest.size() - head) return std::nullopt;
  auto element = rest.substr(0, head + size);
  content = element.substr(head);
  rest.remove_prefix(element.size());
  return element;
}

// Parses a certificate (RFC 5280, section 4.1). It contains the signed part, which contains the version, serial number,
// algorithm, issuer, validity and subject.
std::optional<Certificate> parse(std::string_view der) {
  std::string_view all = der, inside, fields, unused;
  if (!take(all, inside) || !all.empty() || !take(inside, fields)) return std::nullopt;
  // This is the version, which is absent in certificates of version 1.
  if (fields.starts_with('\xa0') && !take(fields, unused)) return std::nullopt;
  auto serial = take(fields, unused), algorithm = take(fields, unused), issuer = take(fields, unused),
       validity = take(fields, unused), subject = take(fields, unused);
  if (!serial || !algorithm || !issuer || !validity || !subject) return std::nullopt;
  return Certificate{der, *serial, *issuer, *subject};
}

// The columns of the table, which NSS names after PKCS #11 attributes. Those that are not here are absent in all rows.
enum Column {
  kClass,
  kToken,
  kPrivate,
  kLabel,
  kValue,
  kType,
  kIssuer,
  kSerial,
  kSubject,
  kId,
  kModifiable,
  kSha1,
  kServer,
  kClient,
  kEmail,
  kCode,
  kStepUp,
  kColumns
};
constexpr std::string_view kTable =
    "CREATE TABLE nssPublic (id INTEGER PRIMARY KEY,a0,a1,a2,a3,a11,a80,a81,a82,a101,a102,a170,ace5363b4,ace536358,"
    "ace536359,ace53635b,ace53635a,ace536360)";

// Holds a blob or nothing for each column.
using Row = std::array<std::optional<std::string>, kColumns>;

std::string number(uint32_t value) {
  std::string out;
  put(out, value, 4);
  return out;
}

// Returns the row of the certificate itself. The caller adds the issuer and the serial number, by which NSS finds it.
Row row_of_certificate(const Certificate& certificate) {
  Row row;
  row[kClass] = number(1);  // CKO_CERTIFICATE
  row[kLabel] = "bottle";
  row[kValue] = certificate.der;
  row[kType] = number(0);  // CKC_X_509
  row[kSubject] = certificate.subject;
  row[kId] = sha1(certificate.der);
  return row;
}

// Returns the row that makes the certificate an authority for servers, and for nothing else.
Row row_of_trust(const Certificate& certificate) {
  // These are the values CKT_NSS_TRUSTED_DELEGATOR, CKT_NSS_TRUST_UNKNOWN and CKO_NSS_TRUST of NSS's pkcs11n.h.
  constexpr uint32_t kTrustedAuthority = 0xce534352, kNothingSaid = 0xce534355, kTrust = 0xce534353;
  Row row;
  row[kClass] = number(kTrust);
  row[kSha1] = sha1(certificate.der);
  row[kServer] = number(kTrustedAuthority);
  for (Column use : {kClient, kEmail, kCode}) row[use] = number(kNothingSaid);
  row[kStepUp] = std::string(1, '\0');
  return row;
}

// The rest of this file writes the format of SQLite (sqlite.org/fileformat2.html): one page with the table's
// definition, and one with its rows.
constexpr size_t kPage = 65536;

// Appends a number below 2^21 in groups of seven bits.
void put_varint(std::string& out, uint64_t value) {
  if (value >= 1 << 14) out += static_cast<char>(0x80 | value >> 14);
  if (value >= 1 << 7) out += static_cast<char>(0x80 | (value >> 7 & 0x7f));
  out += static_cast<char>(value & 0x7f);
}

// Returns a cell of a table: the size of the record, its key, and the record, which consists of the types and the
// values.
std::string cell(uint64_t key, std::string types, std::string_view values) {
  std::string head;
  put_varint(head, types.size() + (types.size() < 127 ? 1 : 2));  // the size counts itself
  std::string record = head + types, out;
  record += values;
  put_varint(out, record.size());
  put_varint(out, key);
  return out + record;
}

// Encodes a row in SQLite's record format.
std::string cell_of(uint64_t key, const Row& row) {
  std::string types(1, '\0'), values;  // a NULL stands for the key's own column
  for (const auto& value : row) {
    // SQLite's type for a blob of N bytes is 2N+12, for a text 2N+13, and 0 is NULL.
    put_varint(types, value ? value->size() * 2 + 12 : 0);
    if (value) values += *value;
  }
  return cell(key, types, values);
}

// Returns the row of SQLite's own table, which names our table, its page, and the statement that made it.
std::string cell_of_schema() {
  std::string types, values = "tablenssPublicnssPublic";
  for (size_t size : {size_t{5}, size_t{9}, size_t{9}}) put_varint(types, size * 2 + 13);  // texts
  put_varint(types, 1);                                                                    // a one-byte number
  put_varint(types, kTable.size() * 2 + 13);
  values += '\x02';  // the page of the rows
  return cell(1, types, values.append(kTable));
}

// Returns a page that these cells fill from its end.
std::string leaf_page(std::string start, const std::vector<std::string>& cells) {
  std::string page = std::move(start), pointers, content;
  for (const auto& each : cells) {
    content.insert(0, each);
    // Pointers are in the order of the keys, while the cells are written from the end of the page to its middle.
    put(pointers, kPage - content.size(), 2);
  }
  put(page, 0x0d, 1);  // a leaf of a table
  put(page, 0, 2);     // no free block
  put(page, cells.size(), 2);
  put(page, cells.empty() ? 0 : kPage - content.size(), 2);  // 0 stands for 65536
  // No bytes between the cells are free.
  put(page, 0, 1);
  page += pointers;
  // The head of the file counts as a part of the first page, so offsets are from the beginning of the file.
  page.resize(kPage - content.size(), '\0');
  return page + content;
}

// Returns the first 100 bytes of the file.
std::string file_header() {
  std::string out("SQLite format 3\0", 16);
  put(out, 1, 2);           // the size of a page; 1 stands for 65536
  put(out, 0x01010040, 4);  // versions for writing and reading, no reserved bytes, and three fixed fractions
  // The fractions are 64, as the last byte above, and twice 32.
  put(out, 0x2020, 2);
  put(out, 1, 4);  // changes
  put(out, 2, 4);  // pages
  put(out, 0, 8);  // no free pages
  put(out, 1, 4);  // the version of the schema
  put(out, 4, 4);  // the format of the schema
  put(out, 0, 8);
  put(out, 1, 4);  // UTF-8
  out.resize(92, '\0');
  put(out, 1, 4);        // the number of changes at which the next field was valid
  put(out, 3034000, 4);  // the version of SQLite that wrote this
  return out;
}

}  // namespace

std::string nss_trust_database(std::string_view pem) {
  constexpr size_t kMost = 60 << 10;
  std::vector<std::string> cells;
  size_t size = 0;
  for (const auto& der : certificates(pem)) {
    auto certificate = parse(der);
    if (!certificate) continue;
    std::vector<std::string> pair;
    for (Row row : {row_of_certificate(*certificate), row_of_trust(*certificate)}) {
      // Every object says that it is stored (CKA_TOKEN), is not secret (CKA_PRIVATE), and can be changed
      // (CKA_MODIFIABLE).
      row[kToken] = "\x01", row[kPrivate] = std::string(1, '\0'), row[kModifiable] = "\x01";
      row[kIssuer] = certificate->issuer, row[kSerial] = certificate->serial;
      pair.push_back(cell_of(cells.size() + pair.size() + 1, row));
    }
    size += pair[0].size() + pair[1].size();
    // The rows must fit into one page, with the page's head and two bytes for each cell.
    if (size > kMost) break;
    cells.insert(cells.end(), pair.begin(), pair.end());
  }
  return leaf_page(file_header(), {cell_of_schema()}) + leaf_page("", cells);
}

}  // namespace bottle::inside
