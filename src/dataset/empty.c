#include "medsecurefl/common.h"

typedef int msfl_dataset_is_not_empty;
