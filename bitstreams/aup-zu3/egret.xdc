# The only clock comes from the processing system, which constrains it; no pin of the logic leaves the chip.
set_property BITSTREAM.GENERAL.COMPRESS TRUE [current_design]
