/* How a model file says that its pictures were prepared: the recipe, and the normalisation. */
#ifndef MSFL_FEDERATION_NORMALISE_H
#define MSFL_FEDERATION_NORMALISE_H

#include "medsecurefl/dataset.h"
#include "medsecurefl/model.h"

/** ERR_UNSUPPORTED for a word that this version does not know; none means by image. */
msfl_status fed_normalise_of(const char *path, const msfl_model_extra *extra, msfl_normalise *out) MSFL_NODISCARD;

/** Whether pictures made by `recipe` (hash; NULL: by none) are what the model was trained on: ERR_MISMATCH where its
 * file says otherwise, unless `any`. `what` names the pictures in the message. */
msfl_status fed_recipe_fits(const char *path, const msfl_model_extra *extra, const char *recipe, const char *what,
                            bool any) MSFL_NODISCARD;

#endif
