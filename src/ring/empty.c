#include "medsecurefl/common.h"

typedef int msfl_ring_is_not_empty;
