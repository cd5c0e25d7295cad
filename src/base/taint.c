#include "base/taint.h"

#if MSFL_TAINT
bool msfl_taint_on;
#else
typedef int msfl_taint_is_off; /* a translation unit may not be empty */
#endif
