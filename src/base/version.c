/* The version of the library that is loaded. */
#include "medsecurefl/common.h"

const char *msfl_version(void) {
    return MSFL_VERSION;
}
