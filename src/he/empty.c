#include "medsecurefl/common.h"

typedef int msfl_he_is_not_empty;
