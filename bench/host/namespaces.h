#pragma once

#include <cstdint>
#include <string>
#include <vector>

#include "absl/status/status.h"

// Namespaces of our own (namespaces(7)): what is mounted or dropped in them nobody else sees, and it ends with the last
// process in them, however that ends. So there is nothing to clean up after a killed runner.
namespace lab::bench {

struct Namespaces {
  bool network = false;  // one with a loopback device and nothing else
  bool mounts = false;   // ours are not seen outside
};

// Puts the calling thread, and every thread and process that it makes from now on, into namespaces of their own. As an
// ordinary user by a user namespace, in which we look like root; the kernel allows that only while there is one thread.
// Nothing for what it has been put into before. FAILED_PRECONDITION with the reason and the remedy.
absl::Status EnterNamespaces(const Namespaces& wanted);
// In which of them the calling thread is.
Namespaces OwnNamespaces();
// Puts a thread that was made by one outside (a server's) into what EnterNamespaces has given this process; nothing
// where it is in already, or there is nothing.
void JoinNamespaces();

// "" or why not, with the remedy: tried by a child process, which then also runs the program (path, then its arguments;
// its complaint is the reason).
std::string WhyNoNamespaces(const Namespaces& wanted, const std::vector<std::string>& program = {});

// A file system in memory of that size on an existing folder, in mounts of our own only.
absl::Status MountDisk(const std::string& folder, uint64_t bytes);
void UnmountDisk(const std::string& folder);  // also while files are open in it; nothing when none is mounted
// Takes the free room of such a disk with a file in it.
absl::Status FillDisk(const std::string& folder);
absl::Status FreeDisk(const std::string& folder);
bool DiskIsFull(const std::string& folder);

}  // namespace lab::bench
