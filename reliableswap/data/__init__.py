"""Photos, the split of their people, records, shards and datasets: what triplets, training and evaluation share."""
