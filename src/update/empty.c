#include "medsecurefl/common.h"

typedef int msfl_update_is_not_empty;
