/* How a model file says that its images were normalised. */
#ifndef MSFL_FEDERATION_NORMALISE_H
#define MSFL_FEDERATION_NORMALISE_H

#include "medsecurefl/dataset.h"
#include "medsecurefl/model.h"

/** ERR_UNSUPPORTED for a word that this version does not know; none means by image. */
msfl_status fed_normalise_of(const char *path, const msfl_model_extra *extra, msfl_normalise *out) MSFL_NODISCARD;

#endif
