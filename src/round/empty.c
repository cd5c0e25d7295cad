#include "medsecurefl/common.h"

typedef int msfl_round_is_not_empty;
