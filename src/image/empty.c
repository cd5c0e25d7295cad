#include "medsecurefl/common.h"

typedef int msfl_image_is_not_empty;
