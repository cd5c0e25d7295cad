#include "medsecurefl/common.h"

typedef int msfl_report_is_not_empty;
