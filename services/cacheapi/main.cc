#include "services/cacheapi/wiring.h"

int main(int argc, char** argv) { return lab::app::Main(argc, argv, lab::cacheapi::MakeDefinition()); }
