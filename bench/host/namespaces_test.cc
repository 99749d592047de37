#include "bench/host/namespaces.h"

#include <arpa/inet.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cstdlib>
#include <filesystem>
#include <fstream>
#include <functional>
#include <future>
#include <thread>

#include "gmock/gmock.h"
#include "gtest/gtest.h"

namespace lab::bench {
namespace {

namespace fs = std::filesystem;

// In a child, whose namespaces end with it: whether it said yes.
bool InAChild(const std::function<bool()>& holds) {
  const pid_t pid = fork();
  if (pid == 0) _exit(holds() ? 0 : 1);
  int status = -1;
  waitpid(pid, &status, 0);
  return status == 0;
}

int Listen(int port) {
  const int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(static_cast<uint16_t>(port));
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  if (bind(fd, reinterpret_cast<sockaddr*>(&address), sizeof(address)) == 0 && listen(fd, 1) == 0) return fd;
  close(fd);
  return -1;
}

int PortOf(int fd) {
  sockaddr_in address{};
  socklen_t size = sizeof(address);
  getsockname(fd, reinterpret_cast<sockaddr*>(&address), &size);
  return ntohs(address.sin_port);
}

TEST(NamespacesTest, OurNetworkHasALoopbackAndNobodyElsesPorts) {
  if (const std::string why = WhyNoNamespaces({.network = true}); !why.empty()) GTEST_SKIP() << why;
  const int outside = Listen(0);
  ASSERT_GE(outside, 0);
  const int port = PortOf(outside);
  EXPECT_FALSE(InAChild([&] { return Listen(port) >= 0; })) << "the port is taken out here";
  EXPECT_TRUE(InAChild([&] {
    if (!EnterNamespaces({.network = true}).ok() || !EnterNamespaces({.network = true}).ok()) return false;
    return OwnNamespaces().network && Listen(port) >= 0;
  }));
  EXPECT_FALSE(OwnNamespaces().network);
  close(outside);
}

TEST(NamespacesTest, AThreadThatWasOutsideStaysThereUntilItJoins) {
  if (const std::string why = WhyNoNamespaces({.network = true, .mounts = true}); !why.empty()) GTEST_SKIP() << why;
  if (geteuid() != 0) GTEST_SKIP() << "as an ordinary user there is one thread when they are entered";
  EXPECT_TRUE(InAChild([] {
    std::promise<void> entered;
    bool outside = false, joined = false;
    std::thread other([&] {
      entered.get_future().wait();
      outside = !OwnNamespaces().network && !OwnNamespaces().mounts;
      JoinNamespaces();
      joined = OwnNamespaces().network && OwnNamespaces().mounts;
    });
    const bool ours = EnterNamespaces({.network = true, .mounts = true}).ok();
    entered.set_value();
    other.join();
    return ours && outside && joined;
  }));
}

TEST(NamespacesTest, ADiskIsFilledAndFreedAndSeenByNobodyElse) {
  if (const std::string why = WhyNoNamespaces({.mounts = true}); !why.empty()) GTEST_SKIP() << why;
  std::string folder = (fs::temp_directory_path() / "lab-disk-test-XXXXXX").string();
  ASSERT_NE(mkdtemp(folder.data()), nullptr);
  EXPECT_TRUE(InAChild([&] {
    if (!EnterNamespaces({.mounts = true}).ok() || !MountDisk(folder, 1 << 20).ok()) return false;
    std::ofstream(folder + "/data") << "kept" << std::flush;
    if (DiskIsFull(folder) || !FillDisk(folder).ok() || !DiskIsFull(folder)) return false;
    std::ofstream more(folder + "/more", std::ios::binary);
    if (more << std::string(8192, 'x') << std::flush) return false;
    if (!FreeDisk(folder).ok() || !FreeDisk(folder).ok() || DiskIsFull(folder)) return false;
    const bool kept = fs::file_size(folder + "/data") == 4;
    UnmountDisk(folder);
    UnmountDisk(folder);
    return kept && fs::is_empty(folder);
  }));
  EXPECT_TRUE(fs::is_empty(folder)) << "it was mounted outside";
  fs::remove(folder);
}

TEST(NamespacesTest, NothingOfTheHostsIsMountedOnOrFilled) {
  const std::string folder = fs::temp_directory_path().string();
  EXPECT_THAT(MountDisk(folder, 1 << 20).ToString(), testing::HasSubstr("our own only"));
  EXPECT_THAT(FillDisk(folder).ToString(), testing::HasSubstr("our own"));
}

TEST(NamespacesTest, TheProgramThatIsTriedSaysWhyNot) {
  if (const std::string why = WhyNoNamespaces({.network = true}); !why.empty()) GTEST_SKIP() << why;
  EXPECT_EQ(WhyNoNamespaces({.network = true}, {"/bin/sh", "-c", "exit 0"}), "");
  EXPECT_EQ(WhyNoNamespaces({.network = true}, {"/bin/sh", "-c", "echo no such table >&2; exit 1"}), "no such table");
  EXPECT_NE(WhyNoNamespaces({.network = true}, {"/no/such/program"}), "");
}

}  // namespace
}  // namespace lab::bench
