#include "docker/tar/tar.h"

#include <gtest/gtest.h>

#include <filesystem>

#include "base/files/file.h"
#include "docker/demux.h"

namespace bottle::docker {
namespace {

TEST(Demux, TakesFramesInAnyPieces) {
  std::string wire =
      std::string("\1\0\0\0\0\0\0\2hi", 10) + std::string("\1\0\0\0\0\0\0\0", 8) + std::string("\2\0\0\0\0\0\0\1!", 9);
  for (size_t piece : {1u, 3u, 9u, 100u}) {
    std::string out, err;
    Demux demux;
    for (size_t at = 0; at < wire.size(); at += piece)
      ASSERT_TRUE(demux.feed(std::string_view(wire).substr(at, piece),
                             [&](int s, std::string_view b) { (s == 1 ? out : err).append(b); }));
    EXPECT_EQ(out, "hi");
    EXPECT_EQ(err, "!");
  }
}

TEST(Demux, FailsForeverAfterAnInvalidHeader) {
  for (std::string wire : {std::string("GET / HTTP"), std::string("\0\0\0\0\0\0\0\1a", 9),
                           std::string("\3\0\0\0\0\0\0\1a", 9), std::string("\1\0\1\0\0\0\0\1a", 9)}) {
    Demux demux;
    auto never = [](int, std::string_view) { FAIL(); };
    EXPECT_FALSE(demux.feed(wire, never));
    EXPECT_FALSE(demux.feed(std::string_view("\1\0\0\0\0\0\0\1a", 9), never));
  }
}

struct Archive {
  std::string bytes;
  TarWriter writer{sink_to(bytes)};
};

// The result of reading an archive, with one line for each entry.
struct Read {
  std::string text;
  Result<> result;
};
Read read(std::string_view bytes, size_t piece = 1000, TarLimits limits = {}) {
  Read read;
  TarReader reader({.entry = [&](const TarEntry& e) -> Result<> {
                      read.text +=
                          std::string(1, "fdlho"[static_cast<int>(e.type)]) + " " + e.path + " " + e.linkname + " ";
                      return {};
                    },
                    .data = sink_to(read.text),
                    .end = [&]() -> Result<> {
                      read.text += "$";
                      return {};
                    }},
                   limits);
  while (!bytes.empty() && read.result) {
    read.result = reader.feed(bytes.substr(0, piece));
    bytes.remove_prefix(std::min(piece, bytes.size()));
  }
  if (read.result) read.result = reader.finish();
  return read;
}

TEST(Tar, ReadsWhatTheWriterWrites) {
  Archive archive;
  std::string name = "d/" + std::string(150, 'n'), target = "../" + std::string(150, 't'), big(1500, 'b');
  ASSERT_TRUE(archive.writer.directory("d", 0755, 1000, 1000));
  ASSERT_TRUE(archive.writer.file(name, 0644, 3000000, 0, "x"));
  ASSERT_TRUE(archive.writer.file("d/empty", 0644, 0, 0, ""));
  ASSERT_TRUE(archive.writer.symlink("d/l", target, 0, 0));
  ASSERT_TRUE(archive.writer.file("big", 04755, 0, 0, big));
  ASSERT_TRUE(archive.writer.finish());
  for (size_t piece : {1u, 511u, 512u, 100000u}) {
    auto got = read(archive.bytes, piece);
    ASSERT_TRUE(got.result) << got.result.error().what;
    EXPECT_EQ(got.text, "d d  f " + name + "  x$f d/empty  $l d/l " + target + " f big  " + big + "$");
  }
}

TEST(Tar, PadsShrunkFilesAndRefusesGrownOnes) {
  Archive archive;
  ASSERT_TRUE(archive.writer.begin_file("short", 0644, 0, 0, 10));
  ASSERT_TRUE(archive.writer.data("12345"));
  ASSERT_TRUE(archive.writer.end_file());
  ASSERT_TRUE(archive.writer.finish());
  EXPECT_EQ(read(archive.bytes).text, "f short  12345" + std::string(5, '\0') + "$");
  Archive grown;
  ASSERT_TRUE(grown.writer.begin_file("grown", 0644, 0, 0, 1));
  EXPECT_FALSE(grown.writer.data("12"));
}

TEST(Tar, RefusesPathsOutsideTheArchive) {
  for (const char* path : {"/etc/passwd", "..", "../x", "a/../../x", "a/..", "./../x"}) {
    Archive archive;
    ASSERT_TRUE(archive.writer.file(path, 0644, 0, 0, "x"));
    ASSERT_TRUE(archive.writer.finish());
    auto got = read(archive.bytes);
    ASSERT_FALSE(got.result) << path;
    EXPECT_EQ(got.result.error().code, Code::protocol);
    EXPECT_EQ(got.text, "") << path;
  }
  Archive fine;
  ASSERT_TRUE(fine.writer.file("./a//b/./..c", 0644, 0, 0, ""));
  ASSERT_TRUE(fine.writer.finish());
  EXPECT_EQ(read(fine.bytes).text, "f a/b/..c  $");
}

TEST(Tar, RefusesDamagedArchives) {
  Archive archive;
  ASSERT_TRUE(archive.writer.file("name", 0644, 0, 0, "x"));
  ASSERT_TRUE(archive.writer.finish());
  std::string flipped = archive.bytes;
  flipped[0] = 'm';
  EXPECT_EQ(read(flipped).result.error().code, Code::protocol) << "checksum";
  EXPECT_EQ(read(std::string_view(archive.bytes).substr(0, 1024)).result.error().code, Code::closed) << "no end";
  EXPECT_EQ(read(std::string_view(archive.bytes).substr(0, 600)).result.error().code, Code::closed) << "half a file";
  EXPECT_EQ(read("").result.error().code, Code::closed);
  EXPECT_EQ(read(archive.bytes + "x").result.error().code, Code::protocol) << "more after the end";
  EXPECT_TRUE(read(archive.bytes + std::string(9000, '\0')).result);
}

TEST(Tar, EnforcesItsLimits) {
  Archive archive;
  ASSERT_TRUE(archive.writer.file("a", 0644, 0, 0, "12345"));
  ASSERT_TRUE(archive.writer.file(std::string(150, 'n'), 0644, 0, 0, "12345"));
  ASSERT_TRUE(archive.writer.finish());
  EXPECT_TRUE(read(archive.bytes, 1000, {.entries = 2, .bytes = 10, .path = 150, .extension = 160}).result);
  EXPECT_EQ(read(archive.bytes, 1000, {.entries = 1}).result.error().code, Code::limit);
  EXPECT_EQ(read(archive.bytes, 1000, {.bytes = 9}).result.error().code, Code::limit);
  EXPECT_EQ(read(archive.bytes, 1000, {.path = 149}).result.error().code, Code::limit);
  EXPECT_EQ(read(archive.bytes, 1000, {.extension = 100}).result.error().code, Code::limit);
}

// Returns a header with this text in the field at an offset, and a checksum that holds.
std::string header_with(size_t at, std::string_view text) {
  Archive archive;
  EXPECT_TRUE(archive.writer.file("name", 0644, 0, 0, ""));
  std::string block = archive.bytes.substr(0, kTarBlock);
  block.replace(at, text.size(), text);
  block.replace(148, 8, 8, ' ');
  unsigned sum = 0;
  for (char c : block) sum += static_cast<unsigned char>(c);
  std::string digits(8, '\0');
  ::snprintf(digits.data(), digits.size(), "%06o", sum);
  return block.replace(148, 8, digits);
}

TEST(TarHeader, RefusesNumbersThatReadersTakeForDifferentOnes) {
  using namespace std::literals;
  constexpr size_t kMode = 100, kSize = 124;
  for (auto good :
       {"00000000017\0"sv, "         17 "sv, "17\0\0\0\0\0\0\0\0\0\0"sv, "\x80\0\0\0\0\0\0\0\0\0\0\x0f"sv}) {
    auto header = parse_tar_header(header_with(kSize, good));
    ASSERT_TRUE(header) << good;
    EXPECT_EQ(header->size, 15u) << good;
  }
  for (auto bad :
       {"00000000018\0"sv, "0000000017x\0"sv, "17\0\0\0\0\0\0\0\00017"sv, "-0000000017\0"sv, "0x000000017\0"sv,
        "\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff\xff"sv, "\x80\0\0\0\x80\0\0\0\0\0\0\0"sv})
    EXPECT_EQ(parse_tar_header(header_with(kSize, bad)).error().code, Code::protocol) << bad;
  EXPECT_FALSE(parse_tar_header(header_with(kMode, "rw-r--r-"sv)));
  EXPECT_FALSE(parse_tar_header(std::string(kTarBlock, '\0'))) << "no checksum";
  EXPECT_FALSE(parse_tar_header(header_with(0, "name").substr(1))) << "too short";
  EXPECT_EQ(parse_tar_header(header_with(257, std::string(8, '\0')))->format, TarHeader::Format::old);
}

TEST(TarHeader, ExtensionsReplaceItsFields) {
  TarExtension next;
  EXPECT_TRUE(next.take('g', "not pax")) << "it is not read";
  EXPECT_TRUE(next.is_empty());
  EXPECT_TRUE(next.take('x', "9 path=a\n15 size=123456\n"));
  EXPECT_TRUE(next.take('K', std::string_view("target\0", 7)));
  TarHeader header;
  next.apply(header);
  EXPECT_EQ(header.path, "a");
  EXPECT_EQ(header.target, "target");
  EXPECT_EQ(header.size, 123456u);
  EXPECT_TRUE(next.take('x', "22 GNU.sparse.major=1\n"));
  EXPECT_TRUE(next.sparse);
  for (const char* bad : {"", "9 path=a", "8 path=a\n", "11 path=a\n", "7 =abc\n", "99999999999999999999999 a=b\n",
                          "-9 path=a\n", "11 size=-1\n", "28 size=9223372036854775808\n", "12 size=1 1\n"})
    EXPECT_FALSE(next.take('x', bad)) << bad;
}

TEST(Tar, WritesATimeThatFitsIntoItsField) {
  std::string out;
  TarWriter tar(sink_to(out), 1);
  for (uint64_t time : {uint64_t{8}, UINT64_MAX}) {
    ASSERT_TRUE(tar.file("a", 0644, 0, 0, ""));
    tar.set_time(time);
  }
  ASSERT_TRUE(tar.file("a", 0644, 0, 0, ""));
  EXPECT_EQ(out.substr(136, 12), std::string("00000000001\0", 12));
  EXPECT_EQ(out.substr(512 + 136, 12), std::string("00000000010\0", 12));
  EXPECT_EQ(out.substr(1024 + 136, 12), std::string("77777777777\0", 12));
}

// Reads archives of another writer (Python's tarfile), which are the fuzzer's seeds. Their first byte is only for the
// fuzzer.
TEST(Tar, ReadsArchivesOfOtherWriters) {
  auto seed = [](const std::string& name) {
    return read_file("src/docker/tar/corpus/tar/" + name).value_or("?").substr(1);
  };
  EXPECT_EQ(read(seed("ustar")).text,
            "d workspace  f workspace/a.txt  hello$f workspace/empty  $l workspace/l ../../etc/passwd h workspace/h "
            "workspace/a.txt o workspace/fifo  ");
  std::string name = "workspace/" + std::string(90, 'd') + "/" + std::string(120, 'n');
  EXPECT_EQ(read(seed("pax_long")).text,
            "f " + name + "  " + std::string(600, 'x') + "$l ünï " + std::string(150, 't') + " ");
  EXPECT_EQ(read(seed("gnu_long")).text,
            "f " + name + "  " + std::string(600, 'x') + "$l s " + std::string(150, 't') + " ");
  EXPECT_TRUE(read(seed("gnu_long")).result);
  for (const char* bad : {"dotdot", "absolute", "pax_nul", "pax_sparse", "huge_size", "cut"})
    EXPECT_FALSE(read(seed(bad)).result) << bad;
}

}  // namespace
}  // namespace bottle::docker
