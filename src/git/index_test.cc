// Tests that the index is read as the real git reads it.
#include "git/formats/index.h"

#include "base/files/file.h"
#include "git/git_test.h"

namespace bottle::git {
namespace {

class IndexFile : public Repositories {
 protected:
  void SetUp() override {
    Repositories::SetUp();
    make_repository();
  }
  Result<Index> read(ObjectFormat format = ObjectFormat::sha1) {
    return parse_index(*read_file(repo + "/.git/index"), format,
                       [&](const std::string& id) { return read_file(repo + "/.git/sharedindex." + id); });
  }
  // Returns the entries as `git ls-files --stage` shows them.
  std::string ours(ObjectFormat format = ObjectFormat::sha1) {
    auto index = read(format);
    if (!index) return index.error().what;
    std::string text;
    for (const auto& [path, mode, object, size, stage, modified, is_hidden] : index->entries)
      text += (text.empty() ? "" : "\n") + mode + " " + object + " " + std::to_string(stage) + "\t" + path;
    return text;
  }
};

TEST_F(IndexFile, IsReadLikeGitReadsIt) {
  put(repo + "/" + std::string(200, 'l') + "/file", "long\n");
  put(repo + "/dir/b.txt2", "changed\n");
  sh("cd " + repo + " && ln -s a.txt link && chmod +x a.txt");
  git("add -A");
  git("update-index --skip-worktree dir/b.txt");  // needs the flags of version 3
  for (const char* version : {"2", "3", "4"}) {
    git(std::string("update-index --index-version ") + version);
    EXPECT_EQ(ours(), git("ls-files --stage")) << version;
  }
  EXPECT_EQ(read()->entries[0].size, 4u);
  EXPECT_EQ(std::to_string(read()->entries[0].modified / 1'000'000'000), sh("stat -c %Y " + repo + "/a.txt"));
  for (const auto& entry : read()->entries) EXPECT_EQ(entry.is_hidden, entry.path == "dir/b.txt") << entry.path;
}

TEST_F(IndexFile, GitReadsTheOneThatIsMade) {
  for (const char* path : {"1234567", "12345678", "123456789", "sub/x"}) put(repo + "/" + path, "x\n");
  put(repo + "/" + std::string(200, 'd') + "/" + std::string(200, 'e') + "/f", "y\n");
  sh("cd " + repo + " && ln -s a.txt link && chmod +x a.txt");
  git("add -A");
  std::string listed = git("ls-files --stage"), tree = git("write-tree");
  // git does not check the checksum.
  put(repo + "/.git/index", *index_of(read()->entries) + std::string(20, '\0'));
  EXPECT_EQ(git("ls-files --stage"), listed);
  EXPECT_EQ(git("write-tree"), tree);
  EXPECT_EQ(ours(), listed);
  EXPECT_EQ(git("status --porcelain").find("??"), std::string::npos);
  EXPECT_EQ(index_of({{"a.txt", "100644", "no id"}}).error().code, Code::invalid);
}

TEST_F(IndexFile, HasTheStagesOfAMerge) {
  git("checkout -q -b other");
  put(repo + "/a.txt", "theirs\n");
  git("commit -qam theirs");
  git("checkout -q main");
  put(repo + "/a.txt", "ours\n");
  git("commit -qam ours");
  EXPECT_NE(
      std::system(("git -C " + repo + " -c user.name=t -c user.email=t@t merge -q other >/dev/null 2>&1").c_str()), 0);
  EXPECT_NE(ours().find(" 3\ta.txt"), std::string::npos) << ours();
  EXPECT_EQ(ours(), git("ls-files --stage"));
}

TEST_F(IndexFile, LeavesOutEntriesWithoutContent) {
  std::string before = ours();
  put(repo + "/n.txt", "new\n");
  git("add -N n.txt");
  EXPECT_EQ(ours(), before);
}

TEST_F(IndexFile, HasLongerIdsWithSha256) {
  repo = root + "/sha256";
  fs::create_directory(repo);
  git("init -q --object-format=sha256");
  put(repo + "/a.txt", "one\n");
  git("add -A");
  EXPECT_EQ(ours(ObjectFormat::sha256), git("ls-files --stage"));
}

TEST_F(IndexFile, IsReadWithTheSharedIndexIfItIsSplit) {
  for (int i = 0; i < 300; ++i) put(repo + "/many/" + std::to_string(i), std::to_string(i));
  git("add -A");
  git("-c splitIndex.maxPercentChange=100 update-index --split-index");
  configure("splitIndex.maxPercentChange", "100");
  EXPECT_EQ(ours(), git("ls-files --stage")) << "nothing differs from the shared one";
  put(repo + "/new.txt", "new\n");
  put(repo + "/a.txt", "changed\n");
  for (int i : {7, 8, 200}) put(repo + "/many/" + std::to_string(i), "changed\n");
  git("add -A");
  git("rm -q --cached dir/b.txt many/9 many/70 many/71");
  put(repo + "/announced", "a\n");
  git("add -N announced");
  EXPECT_FALSE(parse_index(*read_file(repo + "/.git/index"), ObjectFormat::sha1)) << "it is still split";
  EXPECT_EQ(ours() + "\n", git("ls-files --stage | grep -v announced") + "\n");
}

TEST_F(IndexFile, FailsIfTheSharedIndexDoesNotFit) {
  git("update-index --split-index");
  put(repo + "/a.txt", "changed\n");
  git("add -A");
  std::string split = *read_file(repo + "/.git/index");
  auto with = [&](const std::string& shared) {
    return parse_index(split, ObjectFormat::sha1, [&](const std::string&) -> Result<std::string> { return shared; });
  };
  EXPECT_EQ(with(split).error().what, "git's index is split into more than two files");
  EXPECT_FALSE(with(""));
  git("-C " + repo + " read-tree --empty");
  EXPECT_EQ(with(*read_file(repo + "/.git/index")).error().what, "git's index does not fit the shared index");
  // No position may be beyond the end, and no run of ones may take all of the memory.
  size_t link = split.find("link");
  ASSERT_NE(link, std::string::npos);
  std::string shared;
  for (const auto& file : fs::directory_iterator(repo + "/.git"))
    if (file.path().filename().string().starts_with("sharedindex.")) shared = *read_file(file.path());
  EXPECT_TRUE(with(shared));
  for (size_t at = link + 28; at < split.size() - 20; ++at)
    for (char value : {'\0', '\x7f', '\xff'}) {
      std::string whole = split;
      split[at] = value;
      if (auto index = with(shared)) EXPECT_LE(index->entries.size(), 3u) << at;
      split = whole;
    }
}

TEST_F(IndexFile, FailsIfItIsBrokenOrSplit) {
  std::string whole = *read_file(repo + "/.git/index");
  for (size_t size = 0; size < whole.size(); ++size)
    if (auto index = parse_index(whole.substr(0, size), ObjectFormat::sha1))
      EXPECT_EQ(index->entries.size(), 2u) << size;
  for (size_t size : {0, 4, 11, 12, 60, 100})
    EXPECT_FALSE(parse_index(whole.substr(0, size), ObjectFormat::sha1)) << size;
  std::string many = whole;
  many.replace(8, 4, "\x7f\xff\xff\xff");
  EXPECT_EQ(parse_index(many, ObjectFormat::sha1).error().code, Code::limit);
  git("update-index --split-index");
  EXPECT_EQ(parse_index(*read_file(repo + "/.git/index"), ObjectFormat::sha1).error().what,
            "git's index is split into two files");
}

}  // namespace
}  // namespace bottle::git
