// Registers of kLanes numbers of f32 and what is done with them, of the width that the unit which
// includes this is compiled for. A kernel written with them is one source for AVX2 and AVX-512,
// each of whose units keeps its own copy.
#pragma once

#ifdef __AVX512F__
#include "kernels/cpu/lanes_avx512.h"
#else
#include "kernels/cpu/lanes_avx2.h"
#endif
