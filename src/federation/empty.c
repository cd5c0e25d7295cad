#include "medsecurefl/common.h"

typedef int msfl_federation_is_not_empty;
