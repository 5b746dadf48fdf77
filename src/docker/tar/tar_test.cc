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
  TarWriter writer{[this](std::string_view more) -> Result<> {
    bytes += more;
    return {};
  }};
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
                    .data = [&](std::string_view chunk) -> Result<> {
                      read.text += chunk;
                      return {};
                    },
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
