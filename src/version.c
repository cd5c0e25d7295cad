/* The libraries are the archives of their layers; a shared library needs one source of its own. */
#include "medsecurefl/common.h"

const char *msfl_version(void) {
    return MSFL_VERSION;
}
