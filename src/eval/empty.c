#include "medsecurefl/common.h"

typedef int msfl_eval_is_not_empty;
