// What the thread sanitizer has to know about gRPC in tests. Debian's gRPC and absl are not instrumented: the sanitizer
// sees their accesses (through malloc and the like) but not the locks that order them.
extern "C" const char* __tsan_default_options() { return "ignore_noninstrumented_modules=1"; }

// Inline code of absl is instrumented in our objects, and gRPC's threads run it from there.
extern "C" const char* __tsan_default_suppressions() { return "race:grpc_event_engine::experimental::ThreadPool\n"; }
