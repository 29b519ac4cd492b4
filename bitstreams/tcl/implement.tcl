# Synthesis and implementation of the block design. Reports are written before timing is judged. A hold violation is
# wrong at every clock: there is no bitstream. With a setup violation there is one for a slower clock, which is noted
# beside it; the Python that started this delivers it with that clock in its .hwh.

# What FINN's builds use: retiming, effort on timing, physical optimisation after routing as well.
proc egret::strategies {} {
    set synthesis [get_runs synth_1]
    set_property strategy Flow_PerfOptimized_high $synthesis
    set_property STEPS.SYNTH_DESIGN.ARGS.RETIMING true $synthesis
    set implementation [get_runs impl_1]
    set_property strategy Performance_ExtraTimingOpt $implementation
    set_property STEPS.PHYS_OPT_DESIGN.IS_ENABLED true $implementation
    set_property STEPS.PHYS_OPT_DESIGN.ARGS.DIRECTIVE AggressiveExplore $implementation
    set_property STEPS.POST_ROUTE_PHYS_OPT_DESIGN.IS_ENABLED true $implementation
    set_property STEPS.POST_ROUTE_PHYS_OPT_DESIGN.ARGS.DIRECTIVE AggressiveExplore $implementation
}

proc egret::run_to_end {run} {
    launch_runs $run -jobs 4
    wait_on_run $run
    if {[get_property PROGRESS [get_runs $run]] ne "100%"} {
        error "Vivado's run $run failed: [get_property STATUS [get_runs $run]];\
            its log is in the project's .runs/$run folder."
    }
}

proc egret::implement {} {
    variable inputs
    dict with inputs {}
    set design [get_files egret.bd]
    # With the design as one, the kernel is synthesised under its clock and by the strategy below, and not by itself
    # beforehand (UG1118: there it would have no clock but that of its own out-of-context constraint).
    set_property synth_checkpoint_mode None $design
    generate_target all $design
    add_files -norecurse [make_wrapper -files $design -top]
    add_files -fileset constrs_1 -norecurse $board_folder/egret.xdc
    set_property top egret_wrapper [current_fileset]
    update_compile_order -fileset sources_1

    strategies
    run_to_end synth_1
    run_to_end impl_1
    open_run impl_1
    set reports $build_folder/reports
    file mkdir $reports
    report_timing_summary -delay_type min_max -max_paths 20 -file $reports/timing.rpt
    report_utilization -hierarchical -file $reports/utilization_by_unit.rpt
    report_utilization -file $reports/utilization.rpt
    report_clocks -file $reports/clocks.rpt
    report_power -file $reports/power.rpt

    foreach {what statistic} {setup STATS.WNS hold STATS.WHS} {
        set slack($what) [get_property $statistic [get_runs impl_1]]
        if {![string is double -strict $slack($what)]} {
            error "Vivado says '$slack($what)' for the worst $what slack: no timing was analysed."
        }
    }
    if {$slack(hold) < 0} {
        error "The worst hold slack is $slack(hold) ns, which no slower clock cures; the paths are in\
            $reports/timing.rpt. No bitstream is written."
    }
    set period [expr {1000.0 / $clock_mhz}]
    set met [open $build_folder/clock_mhz.txt w]
    puts $met [expr {$slack(setup) < 0 ? 1000.0 / ($period - $slack(setup)) : $clock_mhz}]
    close $met

    write_bitstream -force $build_folder/egret.bit
    set handoffs [glob -nocomplain $build_folder/project/*.gen/sources_1/bd/egret/hw_handoff/egret.hwh \
        $build_folder/project/*.srcs/sources_1/bd/egret/hw_handoff/egret.hwh]
    if {[llength $handoffs] == 0} {
        error "Vivado wrote no egret.hwh below $build_folder/project, and pynq needs it beside the bitstream."
    }
    file copy -force [lindex $handoffs 0] $build_folder/egret.hwh
}
