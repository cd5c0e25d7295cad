/* What the machine can do at best, and the memory of this process. */
#ifndef MSFL_MEASURE_MACHINE_H
#define MSFL_MEASURE_MACHINE_H

#include "measure/fields.h"
#include "medsecurefl/bench.h"

/* Where what the machine can do only stands beside other figures. */
#define MEASURE_MACHINE_S 0.1

/** Measure once more and keep the better of each rate. */
msfl_status measure_machine_again(double seconds, msfl_bench_machine *machine) MSFL_NODISCARD;

/** An object with every field. */
json_t *measure_machine_json(const msfl_bench_machine *machine);

/** Bytes that this process's own allocator holds now, and locked secret memory; where secrets could not be locked,
 *  which the second does not count then. */
uint64_t measure_memory_now(void);
/** Since measure_memory_restart: the allocator's peak and the secret memory of now (secret memory is kept by the
 *  objects that use it, so that its peak is there at the end). */
uint64_t measure_memory_peak(void);
void measure_memory_restart(void);

#endif
