// Tests which repository is found and who owns it: bottle finds what git finds, and refuses directories that only claim
// to be the repository.
#include "git/repository.h"

#include "base/files/file.h"
#include "git/git_test.h"
#include "git/objects.h"
#include "git/refs.h"
#include "git/run/git.h"

namespace bottle::git {
namespace {

class Find : public Repositories {
 protected:
  void SetUp() override {
    Repositories::SetUp();
    secret_ = root + "/private";
    fs::create_directory(secret_);
    git("init -q -b main", secret_);
    put(secret_ + "/key", "secret\n");
    git("add -A", secret_);
    git("commit -qm private", secret_);
  }

  // Returns the git directory that find() finds, "none", or the error.
  std::string found(const std::string& directory) {
    auto repository = find(fs::canonical(directory).string());
    if (!repository) return repository.error().what;
    return *repository ? (*repository)->git_dir : "none";
  }
  void expect_refused(const std::string& why, const std::string& directory = "") {
    std::string said = found(directory.empty() ? repo : directory);
    EXPECT_NE(said.find(why), std::string::npos) << said;
  }

  std::string secret_;
};

TEST_F(Find, FindsWhatGitFinds) {
  EXPECT_EQ(found(repo), "none");
  make_repository();
  EXPECT_EQ(found(repo), repo + "/.git");
  EXPECT_EQ(found(repo + "/dir"), repo + "/.git");
  EXPECT_EQ(found(repo + "/.git"), "none");
  EXPECT_EQ(found(repo + "/.git/refs"), "none");
  fs::create_directories(repo + "/dir/.git");  // a directory with the name of a repository, which is not one
  EXPECT_EQ(found(repo + "/dir"), repo + "/.git");
  EXPECT_EQ((*find(repo + "/dir"))->top, git("rev-parse --show-toplevel", repo + "/dir"));
}

TEST_F(Find, LinkedWorkTreesAndSubmodulesPointBack) {
  make_repository();
  git("worktree add -q -b side " + root + "/side");
  auto side = find(root + "/side");
  ASSERT_TRUE(side && *side) << side.error().what;
  EXPECT_EQ((*side)->git_dir, repo + "/.git/worktrees/side");
  EXPECT_EQ((*side)->common_dir, repo + "/.git");
  EXPECT_EQ(read_head(**side)->branch, "refs/heads/side");
  configure("extensions.worktreeConfig", "true");
  EXPECT_EQ(found(root + "/side"), repo + "/.git/worktrees/side");
  git("submodule --quiet add " + secret_ + " sub");
  EXPECT_EQ(found(repo + "/sub"), repo + "/.git/modules/sub");
  // A directory above was moved as a whole; the paths in it are relative.
  put(repo + "/.git/worktrees/side/gitdir", "../../../../side/.git\n");
  put(root + "/side/.git", "gitdir: ../repo/.git/worktrees/side\n");
  EXPECT_EQ(found(root + "/side"), repo + "/.git/worktrees/side");
}

TEST_F(Find, AFileThatPointsToAnotherRepositoryIsRefused) {
  put(repo + "/.git", "gitdir: " + secret_ + "/.git\n");
  EXPECT_EQ(git("log --format=%s"), "private");  // what git would show
  expect_refused("which does not name '" + repo + "' as a work tree");
  // A work tree of that repository does not belong to this directory either.
  git("worktree add -q -b side " + root + "/side", secret_);
  put(repo + "/.git", "gitdir: " + secret_ + "/.git/worktrees/side\n");
  expect_refused("which does not name");
  put(repo + "/.git", "gitdir: /dev/null\n");
  expect_refused("does not lead to a repository");
  // A separate git directory does not point back; git does not set that, but the operator can.
  fs::remove(repo + "/.git");
  git("init -q --separate-git-dir=" + root + "/separate");
  expect_refused("which does not name");
  auto refused = find(repo);
  ASSERT_FALSE(refused);
  sh(refused.error().todo.substr(refused.error().todo.find("git --git-dir")));
  EXPECT_EQ(found(repo), root + "/separate");
}

TEST_F(Find, AForgedWorkTreeOfAnotherRepositoryIsRefused) {
  std::string forged = repo + "/forged/worktrees/x";
  put(forged + "/HEAD", "ref: refs/heads/main\n");
  put(forged + "/commondir", secret_ + "/.git\n");
  put(forged + "/gitdir", repo + "/.git\n");
  put(repo + "/.git", "gitdir: forged/worktrees/x\n");
  EXPECT_EQ(git("log --format=%s"), "private");
  expect_refused("which does not name");
  // The same as a directory instead of a file.
  fs::remove(repo + "/.git");
  fs::rename(forged, repo + "/.git");
  EXPECT_EQ(git("log --format=%s"), "private");
  expect_refused("which does not name");
}

TEST_F(Find, LinksToAnotherRepositoryAreRefused) {
  fs::create_directory_symlink(secret_ + "/.git", repo + "/.git");
  EXPECT_EQ(git("log --format=%s"), "private");
  expect_refused("which does not name");
  fs::remove(repo + "/.git");
  make_repository();
  git("pack-refs --all");
  git("gc -q");
  git("gc -q", secret_);
  fs::rename(repo + "/.git", root + "/packed");
  for (const char* name : {"HEAD", "objects", "refs", "config", "packed-refs", "objects/pack"}) {
    fs::remove_all(repo + "/.git");
    fs::copy(root + "/packed", repo + "/.git", fs::copy_options::recursive);
    fs::remove_all(repo + "/.git/" + name);
    fs::create_symlink(secret_ + "/.git/" + name, repo + "/.git/" + name);
    auto repository = find(repo);
    bool refused = !repository;
    if (repository && *repository) refused = !read_refs(**repository, "refs/heads/") || !read_head(**repository);
    EXPECT_TRUE(refused) << name;
  }
  fs::remove_all(repo + "/.git");
  make_repository();
  fs::create_directory_symlink(secret_ + "/.git/refs/heads", repo + "/.git/refs/heads/theirs");
  EXPECT_FALSE(read_refs(**find(repo), "refs/heads/"));
}

TEST_F(Find, ALinkToAnotherRepositorysObjectIsRefused) {
  make_repository();
  std::string theirs = git("rev-parse HEAD:key", secret_), ours = git("rev-parse HEAD:a.txt");
  auto file = [](const std::string& where, const std::string& id) {
    return where + "/.git/objects/" + id.substr(0, 2) + "/" + id.substr(2);
  };
  fs::remove(file(repo, ours));
  fs::create_symlink(file(secret_, theirs), file(repo, ours));
  EXPECT_NE(sh("echo " + ours + " | git -C " + repo + " cat-file --batch").find("secret"),
            std::string::npos);  // git does not check the id
  expect_refused(file(repo, ours) + " is a symbolic link");
  fs::remove(file(repo, ours));
  ASSERT_EQ(::mkfifo(file(repo, ours).c_str(), 0600), 0);
  expect_refused(file(repo, ours) + " is not a regular file");
  fs::remove(file(repo, ours));
  EXPECT_EQ(found(repo), repo + "/.git");
  std::string graph = repo + "/.git/objects/info/commit-graphs/commit-graph-chain";
  fs::create_directories(fs::path(graph).parent_path());
  fs::create_symlink(secret_ + "/key", graph);
  expect_refused(graph + " is a symbolic link");
  fs::remove(graph);
  put(root + "/borrowed/info/packs", "");
  fs::create_directory(root + "/borrowed/ab");
  fs::create_symlink(file(secret_, theirs), root + "/borrowed/ab/cd");
  put(repo + "/.git/objects/info/alternates", root + "/borrowed\n");
  expect_refused(root + "/borrowed/ab/cd is a symbolic link");
}

TEST_F(Find, AWorkTreeElsewhereIsRefused) {
  make_repository();
  configure("core.worktree", secret_);
  expect_refused("says that its work tree is '" + secret_ + "'");
  configure("core.worktree", "..");
  EXPECT_EQ(found(repo), repo + "/.git");
}

TEST_F(Find, FifosAreNotWaitedFor) {
  for (const char* name :
       {"HEAD", "config", "packed-refs", "objects/info/alternates", "shallow", "objects/pack/x.idx"}) {
    fs::remove_all(repo + "/.git");
    make_repository();
    fs::remove(repo + "/.git/" + name);
    ASSERT_EQ(::mkfifo((repo + "/.git/" + name).c_str(), 0600), 0);
    auto repository = find(repo);
    bool refused = !repository || !read_refs(**repository, "refs/heads/");
    EXPECT_TRUE(refused) << name;
  }
}

TEST_F(Find, UnsupportedKindsAreNamed) {
  make_repository();
  auto config = [&](const std::string& what) { sh("git config --file " + repo + "/.git/config " + what); };
  config("core.repositoryFormatVersion 1");
  config("extensions.refStorage reftable");
  expect_refused("keeps its refs in the format reftable");
  config("--unset extensions.refStorage");
  config("extensions.future true");
  expect_refused("an extension of git's that bottle does not know: future");
  config("--unset extensions.future");
  put(repo + "/.git/config", "[core\n");
  expect_refused("its configuration " + repo + "/.git/config: line 1");
  git("init -q --bare " + root + "/repo/.bare");
  fs::remove_all(repo + "/.git");
  put(repo + "/.git", "gitdir: ./.bare\n");
  EXPECT_EQ(found(repo), "none");  // as in git, there is no work tree
}

TEST_F(Find, FindsTheDirectoriesThatObjectsAreBorrowedFrom) {
  make_repository();
  sh("git clone -q --shared " + repo + " " + root + "/shared");
  sh("git clone -q --shared " + root + "/shared " + root + "/second");
  auto repository = find(root + "/second");
  ASSERT_TRUE(repository && *repository);
  EXPECT_EQ((*repository)->objects, (std::vector<std::string>{root + "/second/.git/objects",
                                                              root + "/shared/.git/objects", repo + "/.git/objects"}));
  put(root + "/second/.git/objects/info/alternates", "# a note\n../../../shared/.git/objects\n\"" + root +
                                                         "/odd\\nname\"\n/nowhere\n" + root + "/shared/.git/objects");
  fs::create_directories(root + "/odd\nname");
  repository = find(root + "/second");
  ASSERT_TRUE(repository && *repository);
  EXPECT_EQ((*repository)->objects.back(), root + "/odd\nname");
  EXPECT_EQ((*repository)->objects.size(), 4u);
}

TEST_F(Find, BorrowsThroughAsManyRepositoriesAsGit) {
  make_repository();
  std::string from = repo;
  for (int level = 1; level <= 6; ++level) {
    std::string to = root + "/level" + std::to_string(level);
    sh("git clone -q --local --shared " + from + " " + to);
    EXPECT_EQ(git("log --format=%s", to), "first") << level;
    EXPECT_EQ(found(to), to + "/.git") << level;
    from = to;
  }
  EXPECT_EQ((*find(from))->objects.size(), 7u);
  std::string beyond = root + "/beyond";
  put(beyond + "/.git/HEAD", "ref: refs/heads/main\n");
  fs::create_directories(beyond + "/.git/refs");
  put(beyond + "/.git/objects/info/alternates", from + "/.git/objects\n");
  expect_refused("a chain of more than six repositories", beyond);
}

// Tests with a repository of another user, and compares the result with the real git.
class Owner : public Find {
 protected:
  void SetUp() override {
    Find::SetUp();
    if (::geteuid() != 0) GTEST_SKIP() << "only root can give a directory away";
    make_repository();
    sh("chmod 755 " + root);
  }
  void give(const std::string& path, const char* owner = "4711") { sh("chown -R " + std::string(owner) + " " + path); }
  bool git_refuses(const std::string& variables = "") {
    std::string said = sh(variables + " GIT_CONFIG_GLOBAL=" + root + "/gitconfig git -C " + repo + " status || true");
    return said.find("dubious ownership") != std::string::npos;
  }
  bool is_refused() { return found(repo).find("detected dubious ownership in repository at '" + repo) == 0; }
};

TEST_F(Owner, OfEveryPartMustBeTheOperator) {
  EXPECT_FALSE(is_refused());
  for (const std::string& part : {repo + "/.git", repo}) {
    sh("chown 4711 " + part);
    EXPECT_TRUE(git_refuses());
    EXPECT_TRUE(is_refused()) << part;
    give(repo, "0");
  }
  git("worktree add -q -b side " + root + "/side");
  give(repo + "/.git/worktrees");
  EXPECT_NE(found(root + "/side").find("dubious"), std::string::npos);
  give(repo);
  auto refused = find(repo);
  ASSERT_FALSE(refused);
  EXPECT_EQ(refused.error().todo, "if you trust it, run: git config --global --add safe.directory " + repo);
}

TEST_F(Owner, DoesNotMatterIfTheOperatorDeclaredTheDirectorySafe) {
  give(repo);
  put(repo + "/.git/config", "[core]\n\trepositoryformatversion = 0\n[safe]\n\tdirectory = *\n");
  EXPECT_TRUE(is_refused());  // the repository's own setting has no effect
  auto with = [&](const std::string& text) {
    set_operators_settings(text);
    EXPECT_EQ(is_refused(), git_refuses()) << text;
    return !is_refused();
  };
  EXPECT_TRUE(with("[safe]\n\tdirectory = *\n"));
  EXPECT_TRUE(with("[safe]\n\tdirectory = " + repo + "\n"));
  EXPECT_FALSE(with("[safe]\n\tdirectory = " + repo + "/dir\n"));
  EXPECT_FALSE(with("[safe]\n\tdirectory = *\n\tdirectory =\n"));
  EXPECT_TRUE(with("[safe]\n\tdirectory =\n\tdirectory = \"" + repo + "\"\n"));
  with("[safe]\n\tdirectory = " + root + "/*\n");  // since git 2.46
  with("[safe]\n\tdirectory = " + repo + "/\n");
  put(root + "/more", "[safe]\n\tdirectory = " + repo + "\n");
  EXPECT_TRUE(with("[include]\n\tpath = more\n"));
}

TEST(Version, IsReadFromTheOutputOfGit) {
  EXPECT_EQ(version_in("git version 2.39.5"), (Version{2, 39}));
  EXPECT_EQ(version_in("git version 2.39"), (Version{2, 39}));
  EXPECT_EQ(version_in("git version 2.39.5 (Apple Git-154)"), (Version{2, 39}));
  EXPECT_EQ(version_in("git version 2.48-rc1"), (Version{2, 48}));
  for (const char* text : {"", "git version", "git version ", "git version 2", "git version 2.", "git version 2.x",
                           "git version .3", "git version 2x.3", "2.39.5", "hub version 2.39.5"})
    EXPECT_FALSE(version_in(text)) << text;
  EXPECT_LT((Version{2, 9}), (Version{2, 30}));
  EXPECT_LT((Version{2, 46}), (Version{3, 0}));
  EXPECT_TRUE(version_in(*version()));
}

TEST_F(Owner, MayBeTheUserWhoRanSudo) {
  give(repo);
  ::setenv("SUDO_UID", "4711", 1);
  EXPECT_FALSE(is_refused());
  EXPECT_FALSE(git_refuses("SUDO_UID=4711"));
  for (const char* other : {"4712", "", "x", "4711x"}) {
    ::setenv("SUDO_UID", other, 1);
    EXPECT_TRUE(is_refused()) << other;
  }
  ::unsetenv("SUDO_UID");
}

TEST_F(Owner, OfBorrowedObjectsIsCheckedToo) {
  sh("git clone -q --shared " + repo + " " + root + "/shared");
  give(repo);
  EXPECT_NE(found(root + "/shared").find("dubious ownership in repository at '" + repo + "/.git/objects'"),
            std::string::npos);
  set_operators_settings("[safe]\n\tdirectory = " + repo + "/.git/objects\n");
  EXPECT_EQ(found(root + "/shared"), root + "/shared/.git");
}

TEST_F(Repositories, AMissingGitIsNamedWithAndWithoutLimits) {
  auto own = Directory::make(root + "/own", {});
  ASSERT_TRUE(own) << own.error().what;
  const std::string path = std::getenv("PATH");
  Defer restore([&] { ::setenv("PATH", path.c_str(), 1); });
  ::setenv("PATH", root.c_str(), 1);
  for (uint64_t memory : {0, 64 << 20}) {
    std::string state = root + "/state" + std::to_string(memory);
    fs::create_directory(state);
    auto git = Runner::make(state, {.memory = memory});
    ASSERT_TRUE(git) << git.error().what;
    auto ran = git->run({"rev-parse", "HEAD"}, {.in = *own});
    ASSERT_FALSE(ran);
    EXPECT_EQ(ran.error().code, Code::not_found) << ran.error().what;
  }
}

class Objects : public Repositories {};

TEST_F(Objects, SmallBlobsAreReadBesideOthers) {
  commit(repo, {{"a", "a\n"}, {"b", "b\n"}, {"large", std::string(1000, 'x')}, {"empty", ""}, {"d/c", "c\n"}});
  auto id = [&](const std::string& what) { return git("rev-parse HEAD" + what); };
  std::map<std::string, std::string> small = {{id(":a"), "a\n"}, {id(":b"), "b\n"}, {id(":empty"), ""}};
  std::vector<std::string> ids = {id(":a"), std::string(40, '1'), id(":b"), id(":empty"), id(":a")};
  fs::create_directory(root + "/state");
  auto view = make_view(find(fs::canonical(repo).string()).value().value(), root + "/view", {}).value();
  Runner runner = Runner::make(root + "/state").value();
  auto read = [&] { return small_blobs(runner, ids, 100, {.in = view}).value(); };
  EXPECT_EQ(read(), small);
  // Each of these ends the first reading at another place.
  for (const char* other : {":large", "^{tree}", ""}) {
    ids.push_back(id(other));
    EXPECT_EQ(read(), small) << other;
  }
}

TEST_F(Objects, DirectoriesAreListedApart) {
  commit(repo, {{"a", "a\n"}, {"d/e/c", "c\n"}});
  auto view = make_view(find(fs::canonical(repo).string()).value().value(), root + "/view", {}).value();
  fs::create_directory(root + "/state");
  Runner runner = Runner::make(root + "/state").value();
  KeyedMap<std::string, std::string> directories;
  auto entries = list_tree(runner, git("rev-parse HEAD"), {.in = view}, &directories).value();
  ASSERT_EQ(entries.size(), 2u);
  EXPECT_EQ(entries[1].path, "d/e/c");
  EXPECT_EQ(directories.size(), 2u);
  EXPECT_EQ(directories.at("d/e"), git("rev-parse HEAD:d/e"));
}

}  // namespace
}  // namespace bottle::git
