/* Which files a trainer may open: Linux' Landlock, where the kernel has it. */
#ifndef MSFL_CLIENT_LANDLOCK_H
#define MSFL_CLIENT_LANDLOCK_H

#include "medsecurefl/status.h"

/** A set of rules as a descriptor; -1 where the kernel has none to offer. `read`: may be read and executed, with all
 *  below; `write`: everything is allowed below. Both end with NULL; what does not exist is left out. */
int client_landlock_new(const char *const *read, const char *const *write);
/** From now on, for this process and all that it starts. Nothing but system calls: for a child before exec. */
bool client_landlock_enter(int rules);

#endif
