/* Files that a table names, or the name of another file. */
#ifndef MSFL_IMPORT_NAMED_H
#define MSFL_IMPORT_NAMED_H

#include "dataset/labels.h"
#include "import/items.h"

/** `folder`/`name` as another path of `items`, and its number. */
msfl_status msfl_named_add(msfl_items *items, uint32_t *number, const char *folder, const char *name) MSFL_NODISCARD;

/** The file that a cell names, below the folder `data` or below the table's own: added to `items`. `*number` is
 *  MSFL_NO_PATH if the cell is blank or there is no such file. ERR_DATA for a path that leads out of these folders. */
msfl_status msfl_named_by_cell(msfl_items *items, uint32_t *number, const char *data, const msfl_labels *labels,
                               uint32_t row, uint32_t column) MSFL_NODISCARD;

/** The file in the folder `masks` that has the path or, failing that, the name of `path`; else as above. */
msfl_status msfl_named_beside(msfl_items *items, uint32_t *number, const char *masks, const char *path) MSFL_NODISCARD;

#endif
