/* The embedding, one double at a time: for any processor. */
#include <stdbool.h>

static bool supported(void) {
    return true;
}

#define LANES 1
#define TABLE msfl_embed_generic
#define NAME  "generic"
#include "ring/kernels/embed_body.h"
