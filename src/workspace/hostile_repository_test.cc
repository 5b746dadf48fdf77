// Tests a repository that would run commands on the operator's machine. Each test shows that the attack works with git
// and does not work with bottle.
#include <fcntl.h>

#include "git/refs.h"
#include "git/repository.h"
#include "workspace/receiving/take.h"
#include "workspace/sending/clean.h"
#include "workspace/workspace_test.h"

namespace bottle::workspace {
namespace {

class HostileRepository : public Workspace {
 protected:
  void SetUp() override {
    Workspace::SetUp();
    make_repository();
    put(marker_program_, "#!/bin/sh\necho \"$0 $*\" >>" + root + "/ran\n[ -z \"$FILTER\" ] || cat\n");
    fs::permissions(marker_program_, fs::perms(0755));
  }

  std::string command() const { return marker_program_; }
  std::string filter() const { return "FILTER=yes " + marker_program_; }
  bool ran() { return fs::exists(root + "/ran"); }
  // Checks that git itself runs the command, so that no test passes by accident.
  void expect_git_runs_it(const std::string& command) {
    Command shell{.argv = {"/bin/sh", "-c", command}, .env = isolated(), .directory = repo};
    EXPECT_TRUE(capture(shell, {.timeout_ms = 20'000})) << command;
    EXPECT_TRUE(ran()) << "with git it does not work either: " << command;
    fs::remove(root + "/ran");
  }
  // Touches all files, so that git has to read them to know whether they changed.
  void touch_all() {
    const timespec time{.tv_sec = 1'500'000'000 + ++touched_, .tv_nsec = 0}, both[] = {time, time};
    for (fs::recursive_directory_iterator each(repo), end; each != end; ++each) {
      if (each->path().filename() == ".git") each.disable_recursion_pending();
      else if (fs::is_regular_file(each->symlink_status()))
        ASSERT_EQ(::utimensat(AT_FDCWD, each->path().c_str(), both, AT_SYMLINK_NOFOLLOW), 0);
    }
  }

  // Sends the repository in both modes, and receives it with a commit, a new branch and uncommitted files.
  void expect_nothing_runs() {
    for (auto mode : {manifest::WorkspaceMode::clone, manifest::WorkspaceMode::copy}) {
      touch_all();
      auto sent = pack(mode);
      EXPECT_NE(sent.base, "");
      unpack();
      // The agent's copy must not run anything on this machine either.
      std::string quiet = "-c core.fsmonitor=false -c core.hooksPath=/dev/null ";
      for (const char* name : {"/.git/info/attributes", "/.gitattributes", "/.git/hooks"})
        fs::remove_all(inside + name);
      put(inside + "/.git/config", "[core]\n\trepositoryformatversion = 0\n");
      put(inside + "/new.txt", "new\n");
      git(quiet + "add new.txt", inside);
      git(quiet + "commit -qm second", inside);
      git(quiet + "checkout -qb other", inside);
      git(quiet + "commit -q --allow-empty -m third", inside);
      put(inside + "/loose.txt", "loose\n");
      fs::remove(root + "/ran");
      auto back = take_inside(sent.base);
      ASSERT_TRUE(back) << back.error().what;
      EXPECT_EQ(back->refs.size(), 3u) << back->text;
      EXPECT_FALSE(ran()) << *read_file(root + "/ran");
      auto repository = git::find(repo);
      ASSERT_TRUE(repository && *repository);
      EXPECT_EQ(git::read_refs(**repository, "refs/bottle/s1/")->size(), 3u);
      EXPECT_TRUE(git::delete_refs(**repository, back->refs));
      EXPECT_FALSE(ran()) << *read_file(root + "/ran");
    }
  }

  std::string marker_program_;
  int touched_ = 0;

 public:
  HostileRepository() {
    char path[] = "/tmp/git_marker_XXXXXX";
    marker_program_ = std::string(::mkdtemp(path)) + "/marker";
  }
  ~HostileRepository() override { fs::remove_all(fs::path(marker_program_).parent_path()); }
};

// Each file has a different kind of filter, so that one run tests them all.
TEST_F(HostileRepository, FiltersOfItsConfigurationDoNotRun) {
  put(repo + "/c.txt", "three\n");
  put(repo + "/.gitattributes", "* filter=clean\ndir/* filter=process\nc.txt filter=smudge\n");
  git("add -A");
  git("commit -qm attributes");
  const std::vector<std::string> kinds = {"clean", "process", "smudge"};
  const std::string plain = *read_file(repo + "/.git/config");
  auto setting = [](const std::string& kind) { return "filter." + kind + "." + kind; };
  for (const std::string& kind : kinds) {
    configure(setting(kind), filter());
    touch_all();
    expect_git_runs_it(kind == "smudge" ? "rm c.txt; git checkout c.txt" : "git status");
    put(repo + "/.git/config", plain);
    git("checkout -f HEAD -- .");
  }
  for (const std::string& kind : kinds) {
    configure(setting(kind), filter());
    configure("filter." + kind + ".required", "true");
  }
  fs::remove(root + "/ran");
  expect_nothing_runs();
}

TEST_F(HostileRepository, FiltersFromInfoAttributesAndIncludesDoNotRun) {
  put(repo + "/c.txt", "three\n");
  git("add -A");
  git("commit -qm third");
  put(repo + "/.git/info/attributes", "* filter=x0\ndir/* filter=x1\nc.txt filter=x2\n");
  const std::string plain = *read_file(repo + "/.git/config");
  const std::vector<std::string> includes = {"include.path", "includeIf.gitdir:**.path",
                                             "includeIf.onbranch:main.path"};
  for (size_t i = 0; i < includes.size(); ++i) {
    std::string more = "more" + std::to_string(i);
    put(repo + "/.git/" + more, "[filter \"x" + std::to_string(i) + "\"]\n\tclean = " + filter() + "\n");
    configure(includes[i], more);
    touch_all();
    expect_git_runs_it("git status");
    if (i + 1 < includes.size()) put(repo + "/.git/config", plain);
  }
  for (size_t i = 0; i + 1 < includes.size(); ++i) configure(includes[i], "more" + std::to_string(i));
  expect_nothing_runs();
}

TEST_F(HostileRepository, HooksAndTheFileSystemMonitorDoNotRun) {
  configure("core.fsmonitor", command());
  expect_git_runs_it("git status");
  for (const char* hook :
       {"post-index-change", "reference-transaction", "post-checkout", "pre-auto-gc", "pre-commit"}) {
    put(repo + "/.git/hooks/" + hook, "#!/bin/sh\nexec " + command() + " " + hook + " </dev/null\n");
    fs::permissions(repo + "/.git/hooks/" + hook, fs::perms(0755));
  }
  expect_git_runs_it("git update-ref refs/bottle/x/y HEAD; git update-ref -d refs/bottle/x/y");
  expect_nothing_runs();
}

// Modules of iconv(3) have had faults that a file can use, and a repository chooses both the file and the module.
TEST_F(HostileRepository, ItsFilesDoNotReachIconv) {
  const std::string text = "\xe4\xb8\xad\xe6\x96\x87\n", rules = "*.txt working-tree-encoding=ISO-2022-CN-EXT\n";
  put(repo + "/c.txt", text);
  git("add -A");
  git("commit -qm text");
  put(repo + "/.gitattributes", rules);
  git("add .gitattributes");
  git("commit -qm rules");
  sh("git clone -q " + repo + " " + root + "/converted");
  ASSERT_NE(*read_file(root + "/converted/c.txt"), text) << "git itself does not convert it";
  touch_all();
  auto sent = pack(manifest::WorkspaceMode::clone);
  unpack();
  EXPECT_EQ(*read_file(inside + "/c.txt"), text);
  EXPECT_EQ(joined(sent.warnings, "\n"),
            "files in encodings that bottle does not convert were sent as they are committed (3, for example a.txt)");
  put(inside + "/c.txt", text + text);
  auto back = take_inside(sent.base);
  ASSERT_TRUE(back) << back.error().what;
  EXPECT_EQ(git("show refs/bottle/s1/worktree:c.txt") + "\n", text + text);
  // `bottle apply` leaves it to the operator's own git, whether the rules were there before or come with the patch.
  auto refused = [&](const std::string& path) {
    auto applied = apply({{repo, back->patch}}, root + "/scratch");
    ASSERT_FALSE(applied);
    EXPECT_NE(applied.error().what.find(repo + path), std::string::npos) << applied.error().what;
    EXPECT_EQ(applied.error().todo,
              "to apply it with the conversions of your own git: git -C " + repo + " apply " + back->patch);
    EXPECT_EQ(*read_file(repo + "/c.txt"), text);
  };
  refused("/c.txt");
  git("rm -q .gitattributes");
  git("commit -qm none");
  sent = pack(manifest::WorkspaceMode::clone);
  unpack();
  put(inside + "/.gitattributes", rules);
  put(inside + "/c.txt", text + text);
  back = take_inside(sent.base);
  ASSERT_TRUE(back) << back.error().what;
  refused("/.gitattributes");
  // The name of the attribute elsewhere, and UTF-8, mean no conversion.
  sent = pack(manifest::WorkspaceMode::clone);
  unpack();
  put(inside + "/.gitattributes", "*.txt working-tree-encoding=UTF-8\n*.c working-tree-encoding=utf8 text\n");
  put(inside + "/c.txt", rules);
  back = take_inside(sent.base);
  ASSERT_TRUE(back) << back.error().what;
  auto applied = apply({{repo, back->patch}}, root + "/scratch");
  ASSERT_TRUE(applied) << applied.error().what;
  EXPECT_EQ(*read_file(repo + "/c.txt"), rules);
  // The rules are in the directory now.
  EXPECT_TRUE(apply({{repo, back->patch}}, root + "/scratch").error().what.contains("already there"));
}

TEST_F(HostileRepository, ALargeFileBesideTheConfigurationIsNotSent) {
  put(repo + "/.git/config-dump", std::string(5 << 20, 'x'));
  auto sent = pack(manifest::WorkspaceMode::copy);
  EXPECT_NE(joined(sent.warnings, "\n").find("were not sent (1, for example .git/config-dump)"), std::string::npos)
      << joined(sent.warnings, "\n");
  EXPECT_EQ(archive.find("xxxx"), std::string::npos);
}

TEST_F(HostileRepository, AMissingObjectIsAnErrorAndNotFetched) {
  put(repo + "/big.txt", "big\n");
  git("add big.txt");
  git("commit -qm big");
  std::string blob = git("rev-parse HEAD:big.txt");
  auto promise = [&] {
    configure("core.repositoryFormatVersion", "1");
    configure("extensions.partialClone", "origin");
    configure("remote.origin.url", root + "/nowhere");
    configure("remote.origin.promisor", "true");
    configure("remote.origin.uploadpack", command());
  };
  promise();
  fs::remove(repo + "/.git/objects/" + blob.substr(0, 2) + "/" + blob.substr(2));
  expect_git_runs_it("git cat-file -p " + blob);
  auto sent = send({manifest::WorkspaceMode::clone, repo, ::getuid(), ::getgid(), root + "/scratch"},
                   git::read_operators_configuration(), [](std::string_view) -> Result<> { return {}; });
  ASSERT_FALSE(sent);
  EXPECT_NE(sent.error().what.find("objects of the repository at " + repo + " are missing or broken"),
            std::string::npos)
      << sent.error().what;
  EXPECT_NE(sent.error().todo.find("partial clone"), std::string::npos);
  auto early = check_objects(repo, root + "/scratch");  // before anything is created for a session
  ASSERT_FALSE(early);
  EXPECT_EQ(early.error().todo, sent.error().todo);
  EXPECT_FALSE(ran()) << *read_file(root + "/ran");
  EXPECT_TRUE(fs::is_empty(root + "/scratch"));
  // The objects of some refs are missing, and `git for-each-ref` would fetch them.
  std::string tag = git("tag -am note v1; git -C " + repo + " rev-parse v1");
  fs::remove(repo + "/.git/objects/" + tag.substr(0, 2) + "/" + tag.substr(2));
  expect_git_runs_it("git for-each-ref --format='%(objecttype)'");
  EXPECT_EQ((*git::read_refs(**git::find(repo), "refs/tags/"))["refs/tags/v1"], tag);
  fs::remove(repo + "/.git/refs/tags/v1");
  git("-c extensions.partialClone= hash-object -w big.txt");
  fs::remove(root + "/ran");
  expect_nothing_runs();
}

TEST_F(HostileRepository, GitDoesNotRunInItsAlternates) {
  // The repository that it borrows objects from is hostile too.
  sh("git clone -q --shared " + repo + " " + root + "/shared");
  EXPECT_TRUE(check_objects(root + "/shared", root + "/scratch"));
  std::string original = repo;
  repo = root + "/shared";
  git("checkout -q -B main");
  configure("core.alternateRefsCommand", command());
  sh("git -C " + original + " config core.alternateRefsCommand '" + command() + "'");
  put(original + "/.git/hooks/reference-transaction", "#!/bin/sh\n" + command() + " </dev/null\n");
  git("init -q " + root + "/other");
  put(root + "/other/x", "x");
  git("add -A", root + "/other");
  git("commit -qm x", root + "/other");
  expect_git_runs_it("git fetch -q " + root + "/other");
  configure("url.ext::" + command() + " .insteadOf", "/");
  configure("protocol.allow", "always");
  expect_git_runs_it("git fetch -q " + root + "/other");
  expect_nothing_runs();
  repo = original;
}

TEST_F(HostileRepository, ARepositoryInItCountsAsFiles) {
  sh("mkdir " + repo + "/nested && cd " + repo +
     "/nested && git init -q && echo x >x && git add x && "
     "git -c user.name=t -c user.email=t@t commit -qm x && git config core.fsmonitor " +
     command() + " && git config filter.x.clean " + command() + " && echo '* filter=x' >.gitattributes");
  expect_git_runs_it("git -C nested status");
  git("add nested");
  git("commit -qm nested");
  fs::remove(root + "/ran");
  expect_nothing_runs();
  // Without a repository around it, its files are compared with what comes back.
  fs::remove_all(repo + "/.git");
  pack(manifest::WorkspaceMode::clone);
  unpack();
  put(inside + "/a.txt", "changed\n");
  ASSERT_TRUE(take_inside(""));
  EXPECT_FALSE(ran()) << *read_file(root + "/ran");
}

TEST_F(HostileRepository, ADirectoryThatPointsToAnotherRepositorySendsNothing) {
  std::string secret = root + "/private";
  fs::rename(repo, secret);
  fs::create_directory(repo);
  put(repo + "/.git", "gitdir: " + secret + "/.git\n");
  for (auto mode : {manifest::WorkspaceMode::clone, manifest::WorkspaceMode::copy}) {
    std::string stream;
    auto sent = send({mode, repo, ::getuid(), ::getgid(), root + "/scratch"}, git::read_operators_configuration(),
                     sink_to(stream));
    EXPECT_FALSE(sent);
    EXPECT_EQ(stream, "");
  }
}

TEST_F(HostileRepository, CredentialsOfEveryRepositoryInTheTreeAreNotSent) {
  sh("git init -q --bare " + repo + "/bare && git init -q " + repo + "/dir/inner");
  for (const char* where : {".git", "bare", "dir/inner/.git"})
    sh("git --git-dir=" + repo + "/" + where + " config remote.o.url https://user:hunter2@example.org/x.git");
  put(repo + "/dir/config", "url = https://user:hunter3@example.org/not-gits\n");
  pack(manifest::WorkspaceMode::copy);
  EXPECT_EQ(archive.find("hunter2"), std::string::npos);
  EXPECT_NE(archive.find("hunter3"), std::string::npos);
  EXPECT_NE(archive.find("https://example.org/x.git"), std::string::npos);
}

TEST_F(HostileRepository, CredentialsInEverySpellingAreNotSentAndEverythingElseIs) {
  std::ofstream(repo + "/.git/config", std::ios::app)
      << "[http]\n\textraHeader = \\\n\t\tAuthorization: Basic hunter4\n[sendemail]\n\tsmtpPass = hunter5\n"
         "[remote \"p\"]\n\turl = https://us\\\ner:hunter6@example.org/p.git\n# a comment \\\n[url "
         "\"https://hunter7@example.org/\"]\n"
         "\tinsteadOf = https://a.org/ https://x:hunter8@b.org/\n[branch \"fix-token\"]\n\tremote = p\n\tmerge = "
         "refs/heads/x\n"
         // These are the settings of git's documentation that hold a secret. credential.*, http.cookieFile and
         // http.sslKey hold none: they name users, programs and files.
         "[imap]\n\thost = imaps://mail.example.org\n\tpass = hunter9\n[gitcvs]\n\tdbUser = cvs\n\tdbPass=hunter10\n"
         "[sendemail \"work\"]\n\tsmtpPass = hunter11\n\t# smtppass = hunter12\n"
         "[receive]\n\tcertNonceSeed = hunter13\n[http \"https://c.org/?private_token=hunter14\"]\n\t"
         "extraHeader = X: hunter15\n\tproxy = joe:hunter16@proxy:8080\n"
         "[remote \"q\"] proxy = \"joe:hunter@17@q:8080\"\n\tpushurl = https://h/r.git?apikey=hunter18\n\t"
         "url = https://h/r.git?x=1\n[http]\n\tproxy = http://joe:hunter/19@s:8080\n\tproxy = plain:8080\n"
         "[bundle \"b\"]\n\turi = https://h/b?X-Amz-Signature=hunter20\n[core]\n\taskPass = /bin/ask\n"
         "[submodule \"m\"]\n\turl = https://us\"\"er:hunter21@example.org/m.git\n[push]\n\t"
         "pushOption = ci.variable=TOKEN=hunter22\n[credential]\n\tusername = joe\n\thelper = \"!f() { echo "
         "password=hunter23; }; f\"\n";
  pack(manifest::WorkspaceMode::copy);
  EXPECT_EQ(archive.find("hunter"), std::string::npos) << archive.substr(archive.find("hunter") - 100, 200);
  for (const char* stays :
       {"host = imaps://mail.example.org\n[gitcvs]\n\tdbUser = cvs\n[sendemail \"work\"]\n[receive]\n[http ",
        "\tproxy = proxy:8080\n[remote \"q\"] proxy = \"q:8080\"\n\tpushurl = https://h/r.git\n\t"
        "url = https://h/r.git?x=1\n[http]\n\tproxy = http://s:8080\n\tproxy = plain:8080\n",
        "\turi = https://h/b\n[core]\n\taskPass = /bin/ask\n", "[credential]\n\tusername = joe\n"})
    EXPECT_NE(archive.find(stays), std::string::npos) << stays;
  EXPECT_NE(archive.find("[branch \"fix-token\"]\n\tremote = p\n"), std::string::npos)
      << "its settings would be another section's";
  EXPECT_NE(archive.find("# a comment \\\n[url \"https://example.org/\"]\n"), std::string::npos);
}

// git refuses a whole configuration with a line that it cannot read.
TEST_F(HostileRepository, AConfigurationWithoutCredentialsStaysReadable) {
  for (const auto& [line, cleaned] : std::initializer_list<std::pair<std::string, std::string>>{
           {"proxy = \"http://u:p@h:1\" ; ask me@x", "proxy = \"http://h:1\" "},
           {"proxy = \"http://u:p@h:1\"; ask me@x", "proxy = \"http://h:1\";"},
           {"proxy=h:1 # mail a@b", "proxy=h:1 "},
           {"# proxy=u:p@h:1 # mail a@b", "# proxy=h:1 "},
           {"proxy = \"u:p#\"@h", "proxy = \"\"h"},
           {"proxy = http://u:p#q@h", "proxy = http://h"},
           {"proxy = \"u:p # q@h\"", "proxy = \"h\""},
           {"url = \"https://u:p\"@h/x", "url = \"https://\"h/x"},
           {"url = \"https://u:p\\\"@h/x\"", "url = \"https://h/x\""},
           {"url = https://u:p#q@h/x", "url = https://h/x"},
           {"url = \"https://h\" ; https://u:p@h", "url = \"https://h\" ; https://h"},
           {"uri = \"https://h/?key=a\\\"b\"", "uri = \"https://h/\""},
           {"url = h # a \\\n\tproxy = u:p@h:1", "url = h # a \\\n\tproxy = h:1"},
       }) {
    EXPECT_EQ(without_credentials("[a]\n\t" + line + "\n"), "[a]\n\t" + cleaned + "\n");
    put(root + "/config", without_credentials("[a]\n\t" + line + "\n"));
    git("config --file " + root + "/config --list");
  }
}

TEST_F(HostileRepository, CredentialsInLogsAreNotSent) {
  const std::string url = "https://user:hunter2@example.org/r";
  sh("git clone -q " + repo + " " + root + "/other");
  git("commit -q --allow-empty -m theirs", root + "/other");
  git("-c url." + root + "/other.insteadOf=" + url + " pull -q " + url + " main");
  ASSERT_NE(read_file(repo + "/.git/logs/HEAD")->find("hunter2"), std::string::npos) << "git itself does not write it";
  sh("cd " + repo + " && cp .git/config .git/config.bak && git config --file .git/config.bak remote.o.url " + url +
     " && git worktree add -q " + root +
     "/linked && git init -q --bare bare && for log in .git/worktrees/linked/logs/HEAD "
     ".git/modules/m/logs/refs/heads/x .git/FETCH_HEAD bare/FETCH_HEAD bare/logs/refs/heads/x .git/remotes/old; do "
     "mkdir -p $(dirname $log) && echo 'URL: " +
     url + "' >>$log || exit 1; done; echo '" + url +
     "' >.git/credentials; echo 'pull https://example.org/r?x=1&private_token=hunter2 https://example.org/s?x=1 main' "
     ">>.git/FETCH_HEAD; "
     "touch .git/modules/m/HEAD .git/modules/m/objects");
  auto sent = pack(manifest::WorkspaceMode::copy);
  EXPECT_EQ(archive.find("hunter2"), std::string::npos) << archive.substr(archive.find("hunter2") - 100, 100);
  EXPECT_NE(archive.find("pull -q https://example.org/r main: Fast-forward"), std::string::npos);
  EXPECT_NE(archive.find("pull https://example.org/r https://example.org/s?x=1 main"), std::string::npos);
  EXPECT_NE(joined(sent.warnings, "\n").find("credentials in git's logs were left out of the copy (9, for"),
            std::string::npos)
      << joined(sent.warnings, "\n");
}

TEST_F(HostileRepository, ACopyOfARepositoryWithBorrowedObjectsIsComplete) {
  sh("git clone -q --shared " + repo + " " + root + "/shared");
  put(root + "/shared/dirty.txt", "d");
  auto sent = pack(manifest::WorkspaceMode::copy, root + "/shared");
  unpack();
  git("fsck --strict", inside);
  EXPECT_EQ(git("status --porcelain", inside), "?? dirty.txt");
  put(inside + "/dirty.txt", "agent's");
  auto back = take_inside(sent.base, root + "/shared");
  ASSERT_TRUE(back) << back.error().what;
  EXPECT_EQ(git("show refs/bottle/s1/worktree:dirty.txt", root + "/shared"), "agent's");
}

// unpack-objects writes all objects before it checks a .gitmodules file. If the objects stayed, they would not be
// checked again.
TEST_F(HostileRepository, WhatFailsGitsChecksFailsThemEveryTime) {
  for (const std::string files : {"1", "200"}) {  // many objects are stored as a pack
    auto sent = pack(manifest::WorkspaceMode::clone);
    unpack();
    put(inside + "/.gitmodules", "[submodule \"../" + files + "\"]\n\tpath = x\n\turl = y\n");
    sh("cd " + inside + " && for i in $(seq " + files + "); do echo $i >new-$i; done");
    git("add -A", inside);
    git("commit -qm bad", inside);
    for (int pull = 0; pull < 2; ++pull) {
      auto back = come_home(sent.base);
      EXPECT_EQ(refs(), "") << files << " " << pull;
      EXPECT_TRUE(flagged(back, ".git/refs/heads/main: not brought home"));
    }
  }
}

// The operator pastes the command, and the prompt of the shell may run git.
TEST_F(HostileRepository, UnpackingTheArchiveAsAdvisedMakesNoRepository) {
  for (const char* path : {"a.txt", ".git/config", "inner/.git/config", "inner/deep/.GIT/config", "inner/b.txt"})
    put(root + "/left/workspace/" + path, "x");
  run({"tar", "-C", root + "/left", "-cf", root + "/kept.tar", "workspace"});
  std::string text = about_archive(root + "/kept.tar", "s1"), command = text.substr(text.find("mkdir "));
  sh("cd " + root + " && " + command.substr(0, command.find('\n')));
  EXPECT_EQ(sh("cd " + root + "/s1 && find . -type f | sort"), "./workspace/a.txt\n./workspace/inner/b.txt");
}

}  // namespace
}  // namespace bottle::workspace
