#include "medsecurefl/common.h"

typedef int msfl_nn_is_not_empty;
