/* The coordinator's process: it serves a federation over HTTPS and brings jobs through their rounds. Layer:
 * coordinator. docs/design/coordinator.md has the reasons, docs/formats/http.md what is served.
 */
#ifndef MEDSECUREFL_COORDINATOR_H
#define MEDSECUREFL_COORDINATOR_H

#include "medsecurefl/keyfile.h"

MSFL_BEGIN_DECLS

typedef struct msfl_serve_options {
    const char *kit;            /**< folder of the coordinator's kit (docs/formats/kit.md) */
    const char *state;          /**< folder of jobs, journals and uploads; NULL: KIT/state. One process at a time */
    const msfl_unlock *unlock;  /**< for sealed keys; NULL: they lie plain */
    const char *address;        /**< numerical; NULL: all IPv4 addresses */
    uint16_t port;              /**< 0: the one of the federation's URL */
    bool any_port;              /**< take any free port instead, for tests */
    bool has_local;             /**< a second listener in plain HTTP on 127.0.0.1, read-only */
    uint16_t local_port;        /**< 0: any free one */
    const volatile int *stop;   /**< not 0: finish running requests and return; rounds go on with the next process */
    const volatile int *reload; /**< whenever it has changed: read roster.yaml of the kit again */
    /** Once it listens; `local_port` is 0 where there is no second listener. May be NULL. */
    void (*ready)(void *ctx, const char *federation, uint16_t port, uint16_t local_port);
    /** A line of the log: one JSON object without newline. Any thread, one call at a time. May be NULL. */
    void (*log)(void *ctx, const char *line);
    void *ctx;
} msfl_serve_options;

/**
 * Serve until `stop`. Everything that was acknowledged is on disk; whoever is started on the same state folder goes on
 * with the same round, also after a kill.
 * @retval MSFL_ERR_EXISTS  another process has the state folder
 * @retval MSFL_ERR_POLICY, MSFL_ERR_CRYPTO, MSFL_ERR_MISMATCH, MSFL_ERR_FORMAT  the kit, or a damaged state
 * @retval MSFL_ERR_IO      the address is taken; the disk
 */
MSFL_API MSFL_NODISCARD msfl_status msfl_serve(const msfl_serve_options *options);

MSFL_END_DECLS

#endif
