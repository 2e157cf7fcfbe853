// The processor's instructions as functions, without gcc 12's complaints about its own header: it
// takes the undefined pass-through operands there for a mistake of the caller (bug 105593).
#pragma once

#pragma GCC diagnostic push
#pragma GCC diagnostic ignored "-Wmaybe-uninitialized"
#pragma GCC diagnostic ignored "-Wuninitialized"
#include <immintrin.h>
#pragma GCC diagnostic pop
