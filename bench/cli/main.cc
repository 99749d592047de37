#include "bench/cli/commands.h"

int main(int argc, char** argv) { return lab::bench::cli::Main({argv + 1, argv + argc}); }
