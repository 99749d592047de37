// Nothing: the precompiled headers (precompiled.cmake) are made while this is compiled.
