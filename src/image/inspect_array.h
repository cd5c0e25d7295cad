/* The same for NumPy's files, as a stream: an array may be larger than memory. */
#ifndef MSFL_IMAGE_INSPECT_ARRAY_H
#define MSFL_IMAGE_INSPECT_ARRAY_H

#include "image/image.h"
#include "medsecurefl/inspect.h"

/** `out` is zeroed by the caller; on an error it is of no use. */
msfl_status msfl_inspect_array(const char *path, msfl_image_format format, msfl_inspection *out) MSFL_NODISCARD;

#endif
