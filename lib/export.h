// Marks what libsora.so shows to programs that link or load it; everything else stays hidden.
#pragma once

#define SORA_EXPORT __attribute__((visibility("default")))
