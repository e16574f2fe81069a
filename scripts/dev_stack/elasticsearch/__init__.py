"""An Elasticsearch assembled from Maven artifacts, alone or as a cluster of three nodes."""
