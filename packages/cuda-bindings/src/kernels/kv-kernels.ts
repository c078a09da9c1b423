// Generated from native/kernels by tools/native/ptx.mjs with NVRTC 12.4, sources 281cd36c47090457. Do not edit.
/** PTX of the KV kernels, ISA 7.0, for compute capability 7.0 and up. */
export const kvKernelsPtx: string = `.version 7.0
.target sm_70
.address_size 64

	// .globl	stator_copy_table
.global .align 4 .u32 kWarp = 32;
.global .align 8 .u64 kChunkBytes = 8192;

.visible .entry stator_copy_table(
	.param .u64 stator_copy_table_param_0,
	.param .u64 stator_copy_table_param_1,
	.param .u64 stator_copy_table_param_2,
	.param .u32 stator_copy_table_param_3
)
{
	.reg .pred 	%p<41>;
	.reg .b16 	%rs<36>;
	.reg .b32 	%r<324>;
	.reg .b64 	%rd<235>;


	ld.param.u64 	%rd100, [stator_copy_table_param_0];
	ld.param.u64 	%rd101, [stator_copy_table_param_1];
	ld.param.u64 	%rd102, [stator_copy_table_param_2];
	ld.param.u32 	%rd103, [stator_copy_table_param_3];
	add.s64 	%rd1, %rd102, 8191;
	shr.u64 	%rd2, %rd1, 13;
	mul.lo.s64 	%rd3, %rd2, %rd103;
	mov.u32 	%r1, %ctaid.x;
	mov.u32 	%r2, %ntid.x;
	cvt.u64.u32 	%rd4, %r2;
	mul.wide.u32 	%rd104, %r1, %r2;
	mov.u32 	%r3, %tid.x;
	cvt.u64.u32 	%rd105, %r3;
	add.s64 	%rd5, %rd104, %rd105;
	shr.u64 	%rd211, %rd5, 5;
	setp.ge.u64 	%p1, %rd211, %rd3;
	@%p1 bra 	$L__BB0_50;

	and.b64  	%rd7, %rd5, 31;
	or.b64  	%rd8, %rd7, 96;
	mov.u32 	%r4, %nctaid.x;
	cvt.u64.u32 	%rd107, %r4;
	mul.lo.s64 	%rd108, %rd107, %rd4;
	shr.u64 	%rd9, %rd108, 5;
	mov.u64 	%rd109, -98;
	sub.s64 	%rd10, %rd109, %rd7;
	not.b64 	%rd110, %rd102;
	shl.b64 	%rd111, %rd211, 13;
	add.s64 	%rd11, %rd111, %rd110;
	shl.b64 	%rd12, %rd9, 13;
	and.b64  	%rd13, %rd1, -8192;
	mov.u64 	%rd112, -97;
	sub.s64 	%rd14, %rd112, %rd7;
	or.b64  	%rd15, %rd7, 128;
	or.b64  	%rd16, %rd7, 224;
	or.b64  	%rd17, %rd7, 256;
	or.b64  	%rd18, %rd7, 352;
	or.b64  	%rd19, %rd7, 384;
	or.b64  	%rd20, %rd7, 480;
	cvta.to.global.u64 	%rd21, %rd100;
	cvta.to.global.u64 	%rd22, %rd101;
	mov.u64 	%rd210, 0;

$L__BB0_2:
	mul.lo.s64 	%rd113, %rd12, %rd210;
	add.s64 	%rd25, %rd11, %rd113;
	or.b64  	%rd114, %rd211, %rd2;
	and.b64  	%rd115, %rd114, -4294967296;
	setp.eq.s64 	%p2, %rd115, 0;
	@%p2 bra 	$L__BB0_4;

	div.u64 	%rd212, %rd211, %rd2;
	bra.uni 	$L__BB0_5;

$L__BB0_4:
	cvt.u32.u64 	%r323, %rd2;
	cvt.u32.u64 	%r6, %rd211;
	div.u32 	%r7, %r6, %r323;
	cvt.u64.u32 	%rd212, %r7;

$L__BB0_5:
	ld.param.u64 	%rd181, [stator_copy_table_param_2];
	mul.lo.s64 	%rd116, %rd212, %rd2;
	sub.s64 	%rd117, %rd211, %rd116;
	shl.b64 	%rd118, %rd117, 13;
	sub.s64 	%rd119, %rd181, %rd118;
	shl.b64 	%rd120, %rd212, 3;
	add.s64 	%rd121, %rd21, %rd120;
	ld.global.u64 	%rd122, [%rd121];
	add.s64 	%rd29, %rd122, %rd118;
	add.s64 	%rd123, %rd22, %rd120;
	ld.global.u64 	%rd124, [%rd123];
	add.s64 	%rd30, %rd124, %rd118;
	min.u64 	%rd31, %rd119, 8192;
	or.b64  	%rd125, %rd29, %rd30;
	or.b64  	%rd32, %rd125, %rd31;
	and.b64  	%rd126, %rd32, 15;
	setp.eq.s64 	%p3, %rd126, 0;
	@%p3 bra 	$L__BB0_35;

	and.b64  	%rd127, %rd32, 3;
	setp.eq.s64 	%p4, %rd127, 0;
	@%p4 bra 	$L__BB0_21;

	setp.ge.u64 	%p5, %rd8, %rd31;
	mov.u64 	%rd215, %rd7;
	@%p5 bra 	$L__BB0_14;

	mul.lo.s64 	%rd129, %rd13, %rd212;
	sub.s64 	%rd130, %rd25, %rd129;
	max.u64 	%rd131, %rd130, -8193;
	sub.s64 	%rd33, %rd10, %rd131;
	shr.u64 	%rd132, %rd33, 7;
	add.s64 	%rd133, %rd132, 1;
	and.b64  	%rd34, %rd133, 3;
	setp.eq.s64 	%p6, %rd34, 0;
	mov.u64 	%rd213, %rd8;
	mov.u64 	%rd214, %rd7;
	@%p6 bra 	$L__BB0_12;

	add.s64 	%rd35, %rd30, %rd7;
	ld.u8 	%rs1, [%rd35];
	ld.u8 	%rs2, [%rd35+32];
	ld.u8 	%rs3, [%rd35+64];
	ld.u8 	%rs4, [%rd35+96];
	add.s64 	%rd36, %rd29, %rd7;
	st.u8 	[%rd36], %rs1;
	st.u8 	[%rd36+32], %rs2;
	st.u8 	[%rd36+64], %rs3;
	st.u8 	[%rd36+96], %rs4;
	setp.eq.s64 	%p7, %rd34, 1;
	mov.u64 	%rd213, %rd16;
	mov.u64 	%rd214, %rd15;
	mov.u64 	%rd215, %rd15;
	@%p7 bra 	$L__BB0_12;

	ld.u8 	%rs5, [%rd35+128];
	ld.u8 	%rs6, [%rd35+160];
	ld.u8 	%rs7, [%rd35+192];
	ld.u8 	%rs8, [%rd35+224];
	st.u8 	[%rd36+128], %rs5;
	st.u8 	[%rd36+160], %rs6;
	st.u8 	[%rd36+192], %rs7;
	st.u8 	[%rd36+224], %rs8;
	setp.eq.s64 	%p8, %rd34, 2;
	mov.u64 	%rd213, %rd18;
	mov.u64 	%rd214, %rd17;
	mov.u64 	%rd215, %rd17;
	@%p8 bra 	$L__BB0_12;

	ld.u8 	%rs9, [%rd35+256];
	ld.u8 	%rs10, [%rd35+288];
	ld.u8 	%rs11, [%rd35+320];
	ld.u8 	%rs12, [%rd35+352];
	st.u8 	[%rd36+256], %rs9;
	st.u8 	[%rd36+288], %rs10;
	st.u8 	[%rd36+320], %rs11;
	st.u8 	[%rd36+352], %rs12;
	mov.u64 	%rd213, %rd20;
	mov.u64 	%rd214, %rd19;
	mov.u64 	%rd215, %rd19;

$L__BB0_12:
	setp.lt.u64 	%p9, %rd33, 384;
	@%p9 bra 	$L__BB0_14;

$L__BB0_13:
	add.s64 	%rd134, %rd30, %rd214;
	ld.u8 	%rs13, [%rd134];
	ld.u8 	%rs14, [%rd134+32];
	ld.u8 	%rs15, [%rd134+64];
	add.s64 	%rd135, %rd30, %rd213;
	ld.u8 	%rs16, [%rd135];
	add.s64 	%rd136, %rd29, %rd214;
	st.u8 	[%rd136], %rs13;
	st.u8 	[%rd136+32], %rs14;
	st.u8 	[%rd136+64], %rs15;
	add.s64 	%rd137, %rd29, %rd213;
	st.u8 	[%rd137], %rs16;
	ld.u8 	%rs17, [%rd134+128];
	ld.u8 	%rs18, [%rd134+160];
	ld.u8 	%rs19, [%rd134+192];
	ld.u8 	%rs20, [%rd134+224];
	st.u8 	[%rd136+128], %rs17;
	st.u8 	[%rd136+160], %rs18;
	st.u8 	[%rd136+192], %rs19;
	st.u8 	[%rd136+224], %rs20;
	ld.u8 	%rs21, [%rd134+256];
	ld.u8 	%rs22, [%rd134+288];
	ld.u8 	%rs23, [%rd134+320];
	ld.u8 	%rs24, [%rd134+352];
	st.u8 	[%rd136+256], %rs21;
	st.u8 	[%rd136+288], %rs22;
	st.u8 	[%rd136+320], %rs23;
	st.u8 	[%rd136+352], %rs24;
	ld.u8 	%rs25, [%rd134+384];
	ld.u8 	%rs26, [%rd134+416];
	ld.u8 	%rs27, [%rd134+448];
	ld.u8 	%rs28, [%rd134+480];
	st.u8 	[%rd136+384], %rs25;
	st.u8 	[%rd136+416], %rs26;
	st.u8 	[%rd136+448], %rs27;
	st.u8 	[%rd136+480], %rs28;
	add.s64 	%rd215, %rd214, 512;
	add.s64 	%rd213, %rd214, 608;
	setp.lt.u64 	%p10, %rd213, %rd31;
	mov.u64 	%rd214, %rd215;
	@%p10 bra 	$L__BB0_13;

$L__BB0_14:
	setp.ge.u64 	%p11, %rd215, %rd31;
	@%p11 bra 	$L__BB0_49;

	mul.lo.s64 	%rd138, %rd13, %rd212;
	sub.s64 	%rd139, %rd25, %rd138;
	max.u64 	%rd140, %rd139, -8193;
	mov.u64 	%rd141, -2;
	sub.s64 	%rd142, %rd141, %rd140;
	sub.s64 	%rd45, %rd142, %rd215;
	shr.u64 	%rd143, %rd45, 5;
	add.s64 	%rd144, %rd143, 1;
	and.b64  	%rd46, %rd144, 3;
	setp.eq.s64 	%p12, %rd46, 0;
	mov.u64 	%rd219, %rd215;
	@%p12 bra 	$L__BB0_19;

	add.s64 	%rd47, %rd30, %rd215;
	ld.u8 	%rs29, [%rd47];
	add.s64 	%rd48, %rd29, %rd215;
	st.u8 	[%rd48], %rs29;
	add.s64 	%rd219, %rd215, 32;
	setp.eq.s64 	%p13, %rd46, 1;
	@%p13 bra 	$L__BB0_19;

	add.s64 	%rd183, %rd29, %rd215;
	add.s64 	%rd182, %rd30, %rd215;
	ld.u8 	%rs30, [%rd182+32];
	st.u8 	[%rd183+32], %rs30;
	add.s64 	%rd219, %rd215, 64;
	setp.eq.s64 	%p14, %rd46, 2;
	@%p14 bra 	$L__BB0_19;

	add.s64 	%rd185, %rd29, %rd215;
	add.s64 	%rd184, %rd30, %rd215;
	ld.u8 	%rs31, [%rd184+64];
	st.u8 	[%rd185+64], %rs31;
	add.s64 	%rd219, %rd215, 96;

$L__BB0_19:
	setp.lt.u64 	%p15, %rd45, 96;
	@%p15 bra 	$L__BB0_49;

$L__BB0_20:
	add.s64 	%rd145, %rd30, %rd219;
	ld.u8 	%rs32, [%rd145];
	add.s64 	%rd146, %rd29, %rd219;
	st.u8 	[%rd146], %rs32;
	ld.u8 	%rs33, [%rd145+32];
	st.u8 	[%rd146+32], %rs33;
	ld.u8 	%rs34, [%rd145+64];
	st.u8 	[%rd146+64], %rs34;
	ld.u8 	%rs35, [%rd145+96];
	st.u8 	[%rd146+96], %rs35;
	add.s64 	%rd219, %rd219, 128;
	setp.lt.u64 	%p16, %rd219, %rd31;
	@%p16 bra 	$L__BB0_20;
	bra.uni 	$L__BB0_49;

$L__BB0_35:
	shr.u64 	%rd78, %rd31, 4;
	setp.ge.u64 	%p29, %rd8, %rd78;
	mov.u64 	%rd231, %rd7;
	@%p29 bra 	$L__BB0_42;

	add.s64 	%rd79, %rd14, %rd78;
	shr.u64 	%rd165, %rd79, 7;
	add.s64 	%rd166, %rd165, 1;
	and.b64  	%rd80, %rd166, 3;
	setp.eq.s64 	%p30, %rd80, 0;
	mov.u64 	%rd229, %rd8;
	mov.u64 	%rd230, %rd7;
	@%p30 bra 	$L__BB0_40;

	shl.b64 	%rd167, %rd7, 4;
	add.s64 	%rd81, %rd30, %rd167;
	ld.v4.u32 	{%r43, %r44, %r45, %r46}, [%rd81+512];
	ld.v4.u32 	{%r51, %r52, %r53, %r54}, [%rd81+1024];
	ld.v4.u32 	{%r59, %r60, %r61, %r62}, [%rd81+1536];
	add.s64 	%rd82, %rd29, %rd167;
	ld.v4.u32 	{%r67, %r68, %r69, %r70}, [%rd81];
	st.v4.u32 	[%rd82], {%r67, %r68, %r69, %r70};
	st.v4.u32 	[%rd82+512], {%r43, %r44, %r45, %r46};
	st.v4.u32 	[%rd82+1024], {%r51, %r52, %r53, %r54};
	st.v4.u32 	[%rd82+1536], {%r59, %r60, %r61, %r62};
	setp.eq.s64 	%p31, %rd80, 1;
	mov.u64 	%rd229, %rd16;
	mov.u64 	%rd230, %rd15;
	mov.u64 	%rd231, %rd15;
	@%p31 bra 	$L__BB0_40;

	shl.b64 	%rd200, %rd7, 4;
	add.s64 	%rd199, %rd29, %rd200;
	add.s64 	%rd198, %rd30, %rd200;
	ld.v4.u32 	{%r75, %r76, %r77, %r78}, [%rd198+2560];
	ld.v4.u32 	{%r83, %r84, %r85, %r86}, [%rd198+3072];
	ld.v4.u32 	{%r91, %r92, %r93, %r94}, [%rd198+3584];
	ld.v4.u32 	{%r99, %r100, %r101, %r102}, [%rd198+2048];
	st.v4.u32 	[%rd199+2048], {%r99, %r100, %r101, %r102};
	st.v4.u32 	[%rd199+2560], {%r75, %r76, %r77, %r78};
	st.v4.u32 	[%rd199+3072], {%r83, %r84, %r85, %r86};
	st.v4.u32 	[%rd199+3584], {%r91, %r92, %r93, %r94};
	setp.eq.s64 	%p32, %rd80, 2;
	mov.u64 	%rd229, %rd18;
	mov.u64 	%rd230, %rd17;
	mov.u64 	%rd231, %rd17;
	@%p32 bra 	$L__BB0_40;

	shl.b64 	%rd203, %rd7, 4;
	add.s64 	%rd202, %rd29, %rd203;
	add.s64 	%rd201, %rd30, %rd203;
	ld.v4.u32 	{%r107, %r108, %r109, %r110}, [%rd201+4608];
	ld.v4.u32 	{%r115, %r116, %r117, %r118}, [%rd201+5120];
	ld.v4.u32 	{%r123, %r124, %r125, %r126}, [%rd201+5632];
	ld.v4.u32 	{%r131, %r132, %r133, %r134}, [%rd201+4096];
	st.v4.u32 	[%rd202+4096], {%r131, %r132, %r133, %r134};
	st.v4.u32 	[%rd202+4608], {%r107, %r108, %r109, %r110};
	st.v4.u32 	[%rd202+5120], {%r115, %r116, %r117, %r118};
	st.v4.u32 	[%rd202+5632], {%r123, %r124, %r125, %r126};
	mov.u64 	%rd229, %rd20;
	mov.u64 	%rd230, %rd19;
	mov.u64 	%rd231, %rd19;

$L__BB0_40:
	setp.lt.u64 	%p33, %rd79, 384;
	@%p33 bra 	$L__BB0_42;

	shl.b64 	%rd168, %rd230, 4;
	add.s64 	%rd169, %rd30, %rd168;
	ld.v4.u32 	{%r139, %r140, %r141, %r142}, [%rd169+512];
	ld.v4.u32 	{%r147, %r148, %r149, %r150}, [%rd169+1024];
	shl.b64 	%rd170, %rd229, 4;
	add.s64 	%rd171, %rd30, %rd170;
	ld.v4.u32 	{%r155, %r156, %r157, %r158}, [%rd171];
	add.s64 	%rd172, %rd29, %rd168;
	ld.v4.u32 	{%r163, %r164, %r165, %r166}, [%rd169];
	st.v4.u32 	[%rd172], {%r163, %r164, %r165, %r166};
	st.v4.u32 	[%rd172+512], {%r139, %r140, %r141, %r142};
	st.v4.u32 	[%rd172+1024], {%r147, %r148, %r149, %r150};
	add.s64 	%rd173, %rd29, %rd170;
	st.v4.u32 	[%rd173], {%r155, %r156, %r157, %r158};
	ld.v4.u32 	{%r171, %r172, %r173, %r174}, [%rd169+2560];
	ld.v4.u32 	{%r179, %r180, %r181, %r182}, [%rd169+3072];
	ld.v4.u32 	{%r187, %r188, %r189, %r190}, [%rd169+3584];
	ld.v4.u32 	{%r195, %r196, %r197, %r198}, [%rd169+2048];
	st.v4.u32 	[%rd172+2048], {%r195, %r196, %r197, %r198};
	st.v4.u32 	[%rd172+2560], {%r171, %r172, %r173, %r174};
	st.v4.u32 	[%rd172+3072], {%r179, %r180, %r181, %r182};
	st.v4.u32 	[%rd172+3584], {%r187, %r188, %r189, %r190};
	ld.v4.u32 	{%r203, %r204, %r205, %r206}, [%rd169+4608];
	ld.v4.u32 	{%r211, %r212, %r213, %r214}, [%rd169+5120];
	ld.v4.u32 	{%r219, %r220, %r221, %r222}, [%rd169+5632];
	ld.v4.u32 	{%r227, %r228, %r229, %r230}, [%rd169+4096];
	st.v4.u32 	[%rd172+4096], {%r227, %r228, %r229, %r230};
	st.v4.u32 	[%rd172+4608], {%r203, %r204, %r205, %r206};
	st.v4.u32 	[%rd172+5120], {%r211, %r212, %r213, %r214};
	st.v4.u32 	[%rd172+5632], {%r219, %r220, %r221, %r222};
	ld.v4.u32 	{%r235, %r236, %r237, %r238}, [%rd169+6656];
	ld.v4.u32 	{%r243, %r244, %r245, %r246}, [%rd169+7168];
	ld.v4.u32 	{%r251, %r252, %r253, %r254}, [%rd169+7680];
	ld.v4.u32 	{%r259, %r260, %r261, %r262}, [%rd169+6144];
	st.v4.u32 	[%rd172+6144], {%r259, %r260, %r261, %r262};
	st.v4.u32 	[%rd172+6656], {%r235, %r236, %r237, %r238};
	st.v4.u32 	[%rd172+7168], {%r243, %r244, %r245, %r246};
	st.v4.u32 	[%rd172+7680], {%r251, %r252, %r253, %r254};
	or.b64  	%rd231, %rd230, 512;

$L__BB0_42:
	setp.ge.u64 	%p34, %rd231, %rd78;
	@%p34 bra 	$L__BB0_49;

	not.b64 	%rd174, %rd231;
	add.s64 	%rd88, %rd78, %rd174;
	shr.u64 	%rd175, %rd88, 5;
	add.s64 	%rd176, %rd175, 1;
	and.b64  	%rd89, %rd176, 3;
	setp.eq.s64 	%p35, %rd89, 0;
	mov.u64 	%rd233, %rd231;
	@%p35 bra 	$L__BB0_47;

	shl.b64 	%rd177, %rd231, 4;
	add.s64 	%rd91, %rd29, %rd177;
	add.s64 	%rd90, %rd30, %rd177;
	ld.v4.u32 	{%r267, %r268, %r269, %r270}, [%rd90];
	st.v4.u32 	[%rd91], {%r267, %r268, %r269, %r270};
	add.s64 	%rd233, %rd231, 32;
	setp.eq.s64 	%p36, %rd89, 1;
	@%p36 bra 	$L__BB0_47;

	shl.b64 	%rd206, %rd231, 4;
	add.s64 	%rd205, %rd29, %rd206;
	add.s64 	%rd204, %rd30, %rd206;
	ld.v4.u32 	{%r275, %r276, %r277, %r278}, [%rd204+512];
	st.v4.u32 	[%rd205+512], {%r275, %r276, %r277, %r278};
	add.s64 	%rd233, %rd231, 64;
	setp.eq.s64 	%p37, %rd89, 2;
	@%p37 bra 	$L__BB0_47;

	shl.b64 	%rd209, %rd231, 4;
	add.s64 	%rd208, %rd29, %rd209;
	add.s64 	%rd207, %rd30, %rd209;
	ld.v4.u32 	{%r283, %r284, %r285, %r286}, [%rd207+1024];
	st.v4.u32 	[%rd208+1024], {%r283, %r284, %r285, %r286};
	add.s64 	%rd233, %rd231, 96;

$L__BB0_47:
	setp.lt.u64 	%p38, %rd88, 96;
	@%p38 bra 	$L__BB0_49;

$L__BB0_48:
	shl.b64 	%rd178, %rd233, 4;
	add.s64 	%rd179, %rd29, %rd178;
	add.s64 	%rd180, %rd30, %rd178;
	ld.v4.u32 	{%r291, %r292, %r293, %r294}, [%rd180];
	st.v4.u32 	[%rd179], {%r291, %r292, %r293, %r294};
	ld.v4.u32 	{%r299, %r300, %r301, %r302}, [%rd180+512];
	st.v4.u32 	[%rd179+512], {%r299, %r300, %r301, %r302};
	ld.v4.u32 	{%r307, %r308, %r309, %r310}, [%rd180+1024];
	st.v4.u32 	[%rd179+1024], {%r307, %r308, %r309, %r310};
	ld.v4.u32 	{%r315, %r316, %r317, %r318}, [%rd180+1536];
	st.v4.u32 	[%rd179+1536], {%r315, %r316, %r317, %r318};
	add.s64 	%rd233, %rd233, 128;
	setp.lt.u64 	%p39, %rd233, %rd78;
	@%p39 bra 	$L__BB0_48;
	bra.uni 	$L__BB0_49;

$L__BB0_21:
	shr.u64 	%rd55, %rd31, 2;
	setp.ge.u64 	%p17, %rd8, %rd55;
	mov.u64 	%rd223, %rd7;
	@%p17 bra 	$L__BB0_28;

	add.s64 	%rd56, %rd14, %rd55;
	shr.u64 	%rd148, %rd56, 7;
	add.s64 	%rd149, %rd148, 1;
	and.b64  	%rd57, %rd149, 3;
	setp.eq.s64 	%p18, %rd57, 0;
	mov.u64 	%rd221, %rd8;
	mov.u64 	%rd222, %rd7;
	@%p18 bra 	$L__BB0_26;

	shl.b64 	%rd150, %rd7, 2;
	add.s64 	%rd58, %rd30, %rd150;
	ld.u32 	%r8, [%rd58];
	ld.u32 	%r9, [%rd58+128];
	ld.u32 	%r10, [%rd58+256];
	ld.u32 	%r11, [%rd58+384];
	add.s64 	%rd59, %rd29, %rd150;
	st.u32 	[%rd59], %r8;
	st.u32 	[%rd59+128], %r9;
	st.u32 	[%rd59+256], %r10;
	st.u32 	[%rd59+384], %r11;
	setp.eq.s64 	%p19, %rd57, 1;
	mov.u64 	%rd221, %rd16;
	mov.u64 	%rd222, %rd15;
	mov.u64 	%rd223, %rd15;
	@%p19 bra 	$L__BB0_26;

	shl.b64 	%rd188, %rd7, 2;
	add.s64 	%rd187, %rd29, %rd188;
	add.s64 	%rd186, %rd30, %rd188;
	ld.u32 	%r12, [%rd186+512];
	ld.u32 	%r13, [%rd186+640];
	ld.u32 	%r14, [%rd186+768];
	ld.u32 	%r15, [%rd186+896];
	st.u32 	[%rd187+512], %r12;
	st.u32 	[%rd187+640], %r13;
	st.u32 	[%rd187+768], %r14;
	st.u32 	[%rd187+896], %r15;
	setp.eq.s64 	%p20, %rd57, 2;
	mov.u64 	%rd221, %rd18;
	mov.u64 	%rd222, %rd17;
	mov.u64 	%rd223, %rd17;
	@%p20 bra 	$L__BB0_26;

	shl.b64 	%rd191, %rd7, 2;
	add.s64 	%rd190, %rd29, %rd191;
	add.s64 	%rd189, %rd30, %rd191;
	ld.u32 	%r16, [%rd189+1024];
	ld.u32 	%r17, [%rd189+1152];
	ld.u32 	%r18, [%rd189+1280];
	ld.u32 	%r19, [%rd189+1408];
	st.u32 	[%rd190+1024], %r16;
	st.u32 	[%rd190+1152], %r17;
	st.u32 	[%rd190+1280], %r18;
	st.u32 	[%rd190+1408], %r19;
	mov.u64 	%rd221, %rd20;
	mov.u64 	%rd222, %rd19;
	mov.u64 	%rd223, %rd19;

$L__BB0_26:
	setp.lt.u64 	%p21, %rd56, 384;
	@%p21 bra 	$L__BB0_28;

$L__BB0_27:
	shl.b64 	%rd151, %rd222, 2;
	add.s64 	%rd152, %rd30, %rd151;
	ld.u32 	%r20, [%rd152];
	ld.u32 	%r21, [%rd152+128];
	ld.u32 	%r22, [%rd152+256];
	shl.b64 	%rd153, %rd221, 2;
	add.s64 	%rd154, %rd30, %rd153;
	ld.u32 	%r23, [%rd154];
	add.s64 	%rd155, %rd29, %rd151;
	st.u32 	[%rd155], %r20;
	st.u32 	[%rd155+128], %r21;
	st.u32 	[%rd155+256], %r22;
	add.s64 	%rd156, %rd29, %rd153;
	st.u32 	[%rd156], %r23;
	ld.u32 	%r24, [%rd152+512];
	ld.u32 	%r25, [%rd152+640];
	ld.u32 	%r26, [%rd152+768];
	ld.u32 	%r27, [%rd152+896];
	st.u32 	[%rd155+512], %r24;
	st.u32 	[%rd155+640], %r25;
	st.u32 	[%rd155+768], %r26;
	st.u32 	[%rd155+896], %r27;
	ld.u32 	%r28, [%rd152+1024];
	ld.u32 	%r29, [%rd152+1152];
	ld.u32 	%r30, [%rd152+1280];
	ld.u32 	%r31, [%rd152+1408];
	st.u32 	[%rd155+1024], %r28;
	st.u32 	[%rd155+1152], %r29;
	st.u32 	[%rd155+1280], %r30;
	st.u32 	[%rd155+1408], %r31;
	ld.u32 	%r32, [%rd152+1536];
	ld.u32 	%r33, [%rd152+1664];
	ld.u32 	%r34, [%rd152+1792];
	ld.u32 	%r35, [%rd152+1920];
	st.u32 	[%rd155+1536], %r32;
	st.u32 	[%rd155+1664], %r33;
	st.u32 	[%rd155+1792], %r34;
	st.u32 	[%rd155+1920], %r35;
	add.s64 	%rd223, %rd222, 512;
	add.s64 	%rd221, %rd222, 608;
	setp.lt.u64 	%p22, %rd221, %rd55;
	mov.u64 	%rd222, %rd223;
	@%p22 bra 	$L__BB0_27;

$L__BB0_28:
	setp.ge.u64 	%p23, %rd223, %rd55;
	@%p23 bra 	$L__BB0_49;

	not.b64 	%rd157, %rd223;
	add.s64 	%rd68, %rd55, %rd157;
	shr.u64 	%rd158, %rd68, 5;
	add.s64 	%rd159, %rd158, 1;
	and.b64  	%rd69, %rd159, 3;
	setp.eq.s64 	%p24, %rd69, 0;
	mov.u64 	%rd227, %rd223;
	@%p24 bra 	$L__BB0_33;

	shl.b64 	%rd160, %rd223, 2;
	add.s64 	%rd70, %rd30, %rd160;
	ld.u32 	%r36, [%rd70];
	add.s64 	%rd71, %rd29, %rd160;
	st.u32 	[%rd71], %r36;
	add.s64 	%rd227, %rd223, 32;
	setp.eq.s64 	%p25, %rd69, 1;
	@%p25 bra 	$L__BB0_33;

	shl.b64 	%rd194, %rd223, 2;
	add.s64 	%rd193, %rd29, %rd194;
	add.s64 	%rd192, %rd30, %rd194;
	ld.u32 	%r37, [%rd192+128];
	st.u32 	[%rd193+128], %r37;
	add.s64 	%rd227, %rd223, 64;
	setp.eq.s64 	%p26, %rd69, 2;
	@%p26 bra 	$L__BB0_33;

	shl.b64 	%rd197, %rd223, 2;
	add.s64 	%rd196, %rd29, %rd197;
	add.s64 	%rd195, %rd30, %rd197;
	ld.u32 	%r38, [%rd195+256];
	st.u32 	[%rd196+256], %r38;
	add.s64 	%rd227, %rd223, 96;

$L__BB0_33:
	setp.lt.u64 	%p27, %rd68, 96;
	@%p27 bra 	$L__BB0_49;

$L__BB0_34:
	shl.b64 	%rd161, %rd227, 2;
	add.s64 	%rd162, %rd30, %rd161;
	ld.u32 	%r39, [%rd162];
	add.s64 	%rd163, %rd29, %rd161;
	st.u32 	[%rd163], %r39;
	ld.u32 	%r40, [%rd162+128];
	st.u32 	[%rd163+128], %r40;
	ld.u32 	%r41, [%rd162+256];
	st.u32 	[%rd163+256], %r41;
	ld.u32 	%r42, [%rd162+384];
	st.u32 	[%rd163+384], %r42;
	add.s64 	%rd227, %rd227, 128;
	setp.lt.u64 	%p28, %rd227, %rd55;
	@%p28 bra 	$L__BB0_34;

$L__BB0_49:
	add.s64 	%rd211, %rd211, %rd9;
	setp.lt.u64 	%p40, %rd211, %rd3;
	add.s64 	%rd210, %rd210, 1;
	@%p40 bra 	$L__BB0_2;

$L__BB0_50:
	ret;

}
	// .globl	stator_regroup
.visible .entry stator_regroup(
	.param .u64 stator_regroup_param_0,
	.param .u64 stator_regroup_param_1,
	.param .u64 stator_regroup_param_2,
	.param .u64 stator_regroup_param_3,
	.param .u32 stator_regroup_param_4
)
{
	.reg .pred 	%p<36>;
	.reg .b16 	%rs<6>;
	.reg .b32 	%r<336>;
	.reg .b64 	%rd<182>;


	ld.param.u64 	%rd88, [stator_regroup_param_0];
	ld.param.u64 	%rd89, [stator_regroup_param_1];
	ld.param.u64 	%rd90, [stator_regroup_param_2];
	ld.param.u64 	%rd91, [stator_regroup_param_3];
	ld.param.u32 	%r7, [stator_regroup_param_4];
	cvta.to.global.u64 	%rd1, %rd88;
	cvta.to.global.u64 	%rd2, %rd89;
	cvta.to.global.u64 	%rd3, %rd91;
	mul.wide.u32 	%rd92, %r7, 8;
	add.s64 	%rd93, %rd3, %rd92;
	mov.u32 	%r8, %ctaid.x;
	mov.u32 	%r9, %ntid.x;
	cvt.u64.u32 	%rd4, %r9;
	mul.wide.u32 	%rd94, %r8, %r9;
	mov.u32 	%r10, %tid.x;
	cvt.u64.u32 	%rd95, %r10;
	add.s64 	%rd5, %rd94, %rd95;
	shr.u64 	%rd160, %rd5, 5;
	ld.global.u64 	%rd7, [%rd93];
	setp.ge.u64 	%p1, %rd160, %rd7;
	@%p1 bra 	$L__BB1_42;

	and.b64  	%rd8, %rd5, 31;
	add.s32 	%r1, %r7, -1;
	or.b64  	%rd9, %rd8, 96;
	mov.u32 	%r11, %nctaid.x;
	cvt.u64.u32 	%rd96, %r11;
	mul.lo.s64 	%rd97, %rd96, %rd4;
	shr.u64 	%rd10, %rd97, 5;
	mov.u64 	%rd98, -97;
	sub.s64 	%rd11, %rd98, %rd8;
	or.b64  	%rd12, %rd8, 128;
	or.b64  	%rd13, %rd8, 224;
	or.b64  	%rd14, %rd8, 256;
	or.b64  	%rd15, %rd8, 352;
	or.b64  	%rd16, %rd8, 384;
	or.b64  	%rd17, %rd8, 480;
	add.s64 	%rd18, %rd1, 1024;
	add.s64 	%rd19, %rd2, 1024;
	cvta.to.global.u64 	%rd20, %rd90;

$L__BB1_2:
	setp.eq.s32 	%p2, %r1, 0;
	mov.u32 	%r335, 0;
	@%p2 bra 	$L__BB1_5;

	mov.u32 	%r335, 0;
	mov.u32 	%r333, %r1;

$L__BB1_4:
	add.s32 	%r14, %r335, %r333;
	add.s32 	%r15, %r14, 1;
	shr.u32 	%r16, %r15, 1;
	mul.wide.u32 	%rd99, %r16, 8;
	add.s64 	%rd100, %rd3, %rd99;
	ld.global.u64 	%rd101, [%rd100];
	setp.le.u64 	%p3, %rd101, %rd160;
	add.s32 	%r17, %r16, -1;
	selp.b32 	%r335, %r16, %r335, %p3;
	selp.b32 	%r333, %r333, %r17, %p3;
	setp.lt.u32 	%p4, %r335, %r333;
	@%p4 bra 	$L__BB1_4;

$L__BB1_5:
	ld.param.u64 	%rd159, [stator_regroup_param_1];
	ld.param.u64 	%rd158, [stator_regroup_param_0];
	mul.wide.u32 	%rd102, %r335, 48;
	add.s64 	%rd103, %rd20, %rd102;
	mul.wide.u32 	%rd104, %r335, 8;
	add.s64 	%rd105, %rd3, %rd104;
	ld.global.u64 	%rd106, [%rd105];
	sub.s64 	%rd107, %rd160, %rd106;
	ld.global.u64 	%rd108, [%rd103+32];
	mul.lo.s64 	%rd22, %rd108, %rd107;
	ld.global.u64 	%rd23, [%rd103+8];
	add.s64 	%rd109, %rd22, %rd23;
	add.s64 	%rd24, %rd1, %rd109;
	add.s64 	%rd110, %rd158, %rd109;
	ld.global.u64 	%rd111, [%rd103+24];
	mul.lo.s64 	%rd25, %rd111, %rd107;
	ld.global.u64 	%rd26, [%rd103];
	add.s64 	%rd112, %rd25, %rd26;
	add.s64 	%rd27, %rd2, %rd112;
	add.s64 	%rd113, %rd159, %rd112;
	ld.global.u64 	%rd28, [%rd103+16];
	or.b64  	%rd114, %rd28, %rd110;
	or.b64  	%rd29, %rd114, %rd113;
	and.b64  	%rd115, %rd29, 15;
	setp.eq.s64 	%p5, %rd115, 0;
	@%p5 bra 	$L__BB1_27;

	and.b64  	%rd116, %rd29, 3;
	setp.eq.s64 	%p6, %rd116, 0;
	@%p6 bra 	$L__BB1_12;

	setp.ge.u64 	%p7, %rd9, %rd28;
	mov.u64 	%rd163, %rd8;
	@%p7 bra 	$L__BB1_10;

	mov.u64 	%rd161, %rd8;

$L__BB1_9:
	add.s64 	%rd117, %rd27, %rd161;
	ld.global.u8 	%rs1, [%rd117];
	ld.global.u8 	%rs2, [%rd117+32];
	ld.global.u8 	%rs3, [%rd117+64];
	ld.global.u8 	%rs4, [%rd117+96];
	add.s64 	%rd118, %rd24, %rd161;
	st.global.u8 	[%rd118], %rs1;
	st.global.u8 	[%rd118+32], %rs2;
	st.global.u8 	[%rd118+64], %rs3;
	st.global.u8 	[%rd118+96], %rs4;
	add.s64 	%rd163, %rd161, 128;
	add.s64 	%rd119, %rd161, 224;
	setp.lt.u64 	%p8, %rd119, %rd28;
	mov.u64 	%rd161, %rd163;
	@%p8 bra 	$L__BB1_9;

$L__BB1_10:
	setp.ge.u64 	%p9, %rd163, %rd28;
	@%p9 bra 	$L__BB1_41;

$L__BB1_11:
	add.s64 	%rd120, %rd27, %rd163;
	ld.global.u8 	%rs5, [%rd120];
	add.s64 	%rd121, %rd24, %rd163;
	st.global.u8 	[%rd121], %rs5;
	add.s64 	%rd163, %rd163, 32;
	setp.lt.u64 	%p10, %rd163, %rd28;
	@%p10 bra 	$L__BB1_11;
	bra.uni 	$L__BB1_41;

$L__BB1_27:
	shr.u64 	%rd64, %rd28, 4;
	setp.ge.u64 	%p23, %rd9, %rd64;
	mov.u64 	%rd176, %rd8;
	@%p23 bra 	$L__BB1_34;

	add.s64 	%rd65, %rd11, %rd64;
	shr.u64 	%rd142, %rd65, 7;
	add.s64 	%rd143, %rd142, 1;
	and.b64  	%rd66, %rd143, 3;
	setp.eq.s64 	%p24, %rd66, 0;
	mov.u64 	%rd174, %rd9;
	mov.u64 	%rd175, %rd8;
	@%p24 bra 	$L__BB1_32;

	shl.b64 	%rd144, %rd8, 4;
	add.s64 	%rd67, %rd27, %rd144;
	ld.global.v4.u32 	{%r53, %r54, %r55, %r56}, [%rd67+512];
	ld.global.v4.u32 	{%r61, %r62, %r63, %r64}, [%rd67+1024];
	ld.global.v4.u32 	{%r69, %r70, %r71, %r72}, [%rd67+1536];
	add.s64 	%rd68, %rd24, %rd144;
	ld.global.v4.u32 	{%r77, %r78, %r79, %r80}, [%rd67];
	st.global.v4.u32 	[%rd68], {%r77, %r78, %r79, %r80};
	st.global.v4.u32 	[%rd68+512], {%r53, %r54, %r55, %r56};
	st.global.v4.u32 	[%rd68+1024], {%r61, %r62, %r63, %r64};
	st.global.v4.u32 	[%rd68+1536], {%r69, %r70, %r71, %r72};
	setp.eq.s64 	%p25, %rd66, 1;
	mov.u64 	%rd174, %rd13;
	mov.u64 	%rd175, %rd12;
	mov.u64 	%rd176, %rd12;
	@%p25 bra 	$L__BB1_32;

	ld.global.v4.u32 	{%r85, %r86, %r87, %r88}, [%rd67+2560];
	ld.global.v4.u32 	{%r93, %r94, %r95, %r96}, [%rd67+3072];
	ld.global.v4.u32 	{%r101, %r102, %r103, %r104}, [%rd67+3584];
	ld.global.v4.u32 	{%r109, %r110, %r111, %r112}, [%rd67+2048];
	st.global.v4.u32 	[%rd68+2048], {%r109, %r110, %r111, %r112};
	st.global.v4.u32 	[%rd68+2560], {%r85, %r86, %r87, %r88};
	st.global.v4.u32 	[%rd68+3072], {%r93, %r94, %r95, %r96};
	st.global.v4.u32 	[%rd68+3584], {%r101, %r102, %r103, %r104};
	setp.eq.s64 	%p26, %rd66, 2;
	mov.u64 	%rd174, %rd15;
	mov.u64 	%rd175, %rd14;
	mov.u64 	%rd176, %rd14;
	@%p26 bra 	$L__BB1_32;

	ld.global.v4.u32 	{%r117, %r118, %r119, %r120}, [%rd67+4608];
	ld.global.v4.u32 	{%r125, %r126, %r127, %r128}, [%rd67+5120];
	ld.global.v4.u32 	{%r133, %r134, %r135, %r136}, [%rd67+5632];
	ld.global.v4.u32 	{%r141, %r142, %r143, %r144}, [%rd67+4096];
	st.global.v4.u32 	[%rd68+4096], {%r141, %r142, %r143, %r144};
	st.global.v4.u32 	[%rd68+4608], {%r117, %r118, %r119, %r120};
	st.global.v4.u32 	[%rd68+5120], {%r125, %r126, %r127, %r128};
	st.global.v4.u32 	[%rd68+5632], {%r133, %r134, %r135, %r136};
	mov.u64 	%rd174, %rd17;
	mov.u64 	%rd175, %rd16;
	mov.u64 	%rd176, %rd16;

$L__BB1_32:
	setp.lt.u64 	%p27, %rd65, 384;
	@%p27 bra 	$L__BB1_34;

$L__BB1_33:
	shl.b64 	%rd145, %rd175, 4;
	add.s64 	%rd146, %rd27, %rd145;
	ld.global.v4.u32 	{%r149, %r150, %r151, %r152}, [%rd146+512];
	ld.global.v4.u32 	{%r157, %r158, %r159, %r160}, [%rd146+1024];
	shl.b64 	%rd147, %rd174, 4;
	add.s64 	%rd148, %rd27, %rd147;
	ld.global.v4.u32 	{%r165, %r166, %r167, %r168}, [%rd148];
	add.s64 	%rd149, %rd24, %rd145;
	ld.global.v4.u32 	{%r173, %r174, %r175, %r176}, [%rd146];
	st.global.v4.u32 	[%rd149], {%r173, %r174, %r175, %r176};
	st.global.v4.u32 	[%rd149+512], {%r149, %r150, %r151, %r152};
	st.global.v4.u32 	[%rd149+1024], {%r157, %r158, %r159, %r160};
	add.s64 	%rd150, %rd24, %rd147;
	st.global.v4.u32 	[%rd150], {%r165, %r166, %r167, %r168};
	ld.global.v4.u32 	{%r181, %r182, %r183, %r184}, [%rd146+2560];
	ld.global.v4.u32 	{%r189, %r190, %r191, %r192}, [%rd146+3072];
	ld.global.v4.u32 	{%r197, %r198, %r199, %r200}, [%rd146+3584];
	ld.global.v4.u32 	{%r205, %r206, %r207, %r208}, [%rd146+2048];
	st.global.v4.u32 	[%rd149+2048], {%r205, %r206, %r207, %r208};
	st.global.v4.u32 	[%rd149+2560], {%r181, %r182, %r183, %r184};
	st.global.v4.u32 	[%rd149+3072], {%r189, %r190, %r191, %r192};
	st.global.v4.u32 	[%rd149+3584], {%r197, %r198, %r199, %r200};
	ld.global.v4.u32 	{%r213, %r214, %r215, %r216}, [%rd146+4608];
	ld.global.v4.u32 	{%r221, %r222, %r223, %r224}, [%rd146+5120];
	ld.global.v4.u32 	{%r229, %r230, %r231, %r232}, [%rd146+5632];
	ld.global.v4.u32 	{%r237, %r238, %r239, %r240}, [%rd146+4096];
	st.global.v4.u32 	[%rd149+4096], {%r237, %r238, %r239, %r240};
	st.global.v4.u32 	[%rd149+4608], {%r213, %r214, %r215, %r216};
	st.global.v4.u32 	[%rd149+5120], {%r221, %r222, %r223, %r224};
	st.global.v4.u32 	[%rd149+5632], {%r229, %r230, %r231, %r232};
	ld.global.v4.u32 	{%r245, %r246, %r247, %r248}, [%rd146+6656];
	ld.global.v4.u32 	{%r253, %r254, %r255, %r256}, [%rd146+7168];
	ld.global.v4.u32 	{%r261, %r262, %r263, %r264}, [%rd146+7680];
	ld.global.v4.u32 	{%r269, %r270, %r271, %r272}, [%rd146+6144];
	st.global.v4.u32 	[%rd149+6144], {%r269, %r270, %r271, %r272};
	st.global.v4.u32 	[%rd149+6656], {%r245, %r246, %r247, %r248};
	st.global.v4.u32 	[%rd149+7168], {%r253, %r254, %r255, %r256};
	st.global.v4.u32 	[%rd149+7680], {%r261, %r262, %r263, %r264};
	add.s64 	%rd176, %rd175, 512;
	add.s64 	%rd174, %rd175, 608;
	setp.lt.u64 	%p28, %rd174, %rd64;
	mov.u64 	%rd175, %rd176;
	@%p28 bra 	$L__BB1_33;

$L__BB1_34:
	setp.ge.u64 	%p29, %rd176, %rd64;
	@%p29 bra 	$L__BB1_41;

	not.b64 	%rd151, %rd176;
	add.s64 	%rd77, %rd64, %rd151;
	shr.u64 	%rd152, %rd77, 5;
	add.s64 	%rd153, %rd152, 1;
	and.b64  	%rd78, %rd153, 3;
	setp.eq.s64 	%p30, %rd78, 0;
	mov.u64 	%rd180, %rd176;
	@%p30 bra 	$L__BB1_39;

	shl.b64 	%rd154, %rd176, 4;
	add.s64 	%rd80, %rd24, %rd154;
	add.s64 	%rd79, %rd27, %rd154;
	ld.global.v4.u32 	{%r277, %r278, %r279, %r280}, [%rd79];
	st.global.v4.u32 	[%rd80], {%r277, %r278, %r279, %r280};
	add.s64 	%rd180, %rd176, 32;
	setp.eq.s64 	%p31, %rd78, 1;
	@%p31 bra 	$L__BB1_39;

	ld.global.v4.u32 	{%r285, %r286, %r287, %r288}, [%rd79+512];
	st.global.v4.u32 	[%rd80+512], {%r285, %r286, %r287, %r288};
	add.s64 	%rd180, %rd176, 64;
	setp.eq.s64 	%p32, %rd78, 2;
	@%p32 bra 	$L__BB1_39;

	ld.global.v4.u32 	{%r293, %r294, %r295, %r296}, [%rd79+1024];
	st.global.v4.u32 	[%rd80+1024], {%r293, %r294, %r295, %r296};
	add.s64 	%rd180, %rd176, 96;

$L__BB1_39:
	setp.lt.u64 	%p33, %rd77, 96;
	@%p33 bra 	$L__BB1_41;

$L__BB1_40:
	shl.b64 	%rd155, %rd180, 4;
	add.s64 	%rd156, %rd24, %rd155;
	add.s64 	%rd157, %rd27, %rd155;
	ld.global.v4.u32 	{%r301, %r302, %r303, %r304}, [%rd157];
	st.global.v4.u32 	[%rd156], {%r301, %r302, %r303, %r304};
	ld.global.v4.u32 	{%r309, %r310, %r311, %r312}, [%rd157+512];
	st.global.v4.u32 	[%rd156+512], {%r309, %r310, %r311, %r312};
	ld.global.v4.u32 	{%r317, %r318, %r319, %r320}, [%rd157+1024];
	st.global.v4.u32 	[%rd156+1024], {%r317, %r318, %r319, %r320};
	ld.global.v4.u32 	{%r325, %r326, %r327, %r328}, [%rd157+1536];
	st.global.v4.u32 	[%rd156+1536], {%r325, %r326, %r327, %r328};
	add.s64 	%rd180, %rd180, 128;
	setp.lt.u64 	%p34, %rd180, %rd64;
	@%p34 bra 	$L__BB1_40;
	bra.uni 	$L__BB1_41;

$L__BB1_12:
	shr.u64 	%rd35, %rd28, 2;
	setp.ge.u64 	%p11, %rd9, %rd35;
	mov.u64 	%rd166, %rd8;
	@%p11 bra 	$L__BB1_20;

	add.s64 	%rd36, %rd11, %rd35;
	shr.u64 	%rd123, %rd36, 7;
	add.s64 	%rd124, %rd123, 1;
	and.b64  	%rd37, %rd124, 3;
	setp.eq.s64 	%p12, %rd37, 0;
	mov.u64 	%rd164, %rd9;
	mov.u64 	%rd165, %rd8;
	@%p12 bra 	$L__BB1_17;

	shl.b64 	%rd125, %rd8, 2;
	add.s64 	%rd38, %rd27, %rd125;
	ld.global.u32 	%r18, [%rd38];
	ld.global.u32 	%r19, [%rd38+128];
	ld.global.u32 	%r20, [%rd38+256];
	ld.global.u32 	%r21, [%rd38+384];
	add.s64 	%rd39, %rd24, %rd125;
	st.global.u32 	[%rd39], %r18;
	st.global.u32 	[%rd39+128], %r19;
	st.global.u32 	[%rd39+256], %r20;
	st.global.u32 	[%rd39+384], %r21;
	setp.eq.s64 	%p13, %rd37, 1;
	mov.u64 	%rd164, %rd13;
	mov.u64 	%rd165, %rd12;
	mov.u64 	%rd166, %rd12;
	@%p13 bra 	$L__BB1_17;

	ld.global.u32 	%r22, [%rd38+512];
	ld.global.u32 	%r23, [%rd38+640];
	ld.global.u32 	%r24, [%rd38+768];
	ld.global.u32 	%r25, [%rd38+896];
	st.global.u32 	[%rd39+512], %r22;
	st.global.u32 	[%rd39+640], %r23;
	st.global.u32 	[%rd39+768], %r24;
	st.global.u32 	[%rd39+896], %r25;
	setp.eq.s64 	%p14, %rd37, 2;
	mov.u64 	%rd164, %rd15;
	mov.u64 	%rd165, %rd14;
	mov.u64 	%rd166, %rd14;
	@%p14 bra 	$L__BB1_17;

	ld.global.u32 	%r26, [%rd38+1024];
	ld.global.u32 	%r27, [%rd38+1152];
	ld.global.u32 	%r28, [%rd38+1280];
	ld.global.u32 	%r29, [%rd38+1408];
	st.global.u32 	[%rd39+1024], %r26;
	st.global.u32 	[%rd39+1152], %r27;
	st.global.u32 	[%rd39+1280], %r28;
	st.global.u32 	[%rd39+1408], %r29;
	mov.u64 	%rd164, %rd17;
	mov.u64 	%rd165, %rd16;
	mov.u64 	%rd166, %rd16;

$L__BB1_17:
	setp.lt.u64 	%p15, %rd36, 384;
	@%p15 bra 	$L__BB1_20;

	shl.b64 	%rd126, %rd165, 2;
	add.s64 	%rd127, %rd23, %rd126;
	add.s64 	%rd128, %rd127, %rd22;
	add.s64 	%rd168, %rd18, %rd128;
	add.s64 	%rd129, %rd26, %rd126;
	add.s64 	%rd130, %rd129, %rd25;
	add.s64 	%rd167, %rd19, %rd130;

$L__BB1_19:
	ld.global.u32 	%r30, [%rd167+-1024];
	ld.global.u32 	%r31, [%rd167+-896];
	ld.global.u32 	%r32, [%rd167+-768];
	shl.b64 	%rd131, %rd164, 2;
	add.s64 	%rd132, %rd27, %rd131;
	ld.global.u32 	%r33, [%rd132];
	st.global.u32 	[%rd168+-1024], %r30;
	st.global.u32 	[%rd168+-896], %r31;
	st.global.u32 	[%rd168+-768], %r32;
	add.s64 	%rd133, %rd24, %rd131;
	st.global.u32 	[%rd133], %r33;
	ld.global.u32 	%r34, [%rd167+-512];
	ld.global.u32 	%r35, [%rd167+-384];
	ld.global.u32 	%r36, [%rd167+-256];
	ld.global.u32 	%r37, [%rd167+-128];
	st.global.u32 	[%rd168+-512], %r34;
	st.global.u32 	[%rd168+-384], %r35;
	st.global.u32 	[%rd168+-256], %r36;
	st.global.u32 	[%rd168+-128], %r37;
	ld.global.u32 	%r38, [%rd167];
	ld.global.u32 	%r39, [%rd167+128];
	ld.global.u32 	%r40, [%rd167+256];
	ld.global.u32 	%r41, [%rd167+384];
	st.global.u32 	[%rd168], %r38;
	st.global.u32 	[%rd168+128], %r39;
	st.global.u32 	[%rd168+256], %r40;
	st.global.u32 	[%rd168+384], %r41;
	ld.global.u32 	%r42, [%rd167+512];
	ld.global.u32 	%r43, [%rd167+640];
	ld.global.u32 	%r44, [%rd167+768];
	ld.global.u32 	%r45, [%rd167+896];
	st.global.u32 	[%rd168+512], %r42;
	st.global.u32 	[%rd168+640], %r43;
	st.global.u32 	[%rd168+768], %r44;
	st.global.u32 	[%rd168+896], %r45;
	add.s64 	%rd166, %rd165, 512;
	add.s64 	%rd164, %rd165, 608;
	add.s64 	%rd168, %rd168, 2048;
	add.s64 	%rd167, %rd167, 2048;
	setp.lt.u64 	%p16, %rd164, %rd35;
	mov.u64 	%rd165, %rd166;
	@%p16 bra 	$L__BB1_19;

$L__BB1_20:
	setp.ge.u64 	%p17, %rd166, %rd35;
	@%p17 bra 	$L__BB1_41;

	not.b64 	%rd134, %rd166;
	add.s64 	%rd54, %rd35, %rd134;
	shr.u64 	%rd135, %rd54, 5;
	add.s64 	%rd136, %rd135, 1;
	and.b64  	%rd55, %rd136, 3;
	setp.eq.s64 	%p18, %rd55, 0;
	mov.u64 	%rd172, %rd166;
	@%p18 bra 	$L__BB1_25;

	shl.b64 	%rd137, %rd166, 2;
	add.s64 	%rd56, %rd27, %rd137;
	ld.global.u32 	%r46, [%rd56];
	add.s64 	%rd57, %rd24, %rd137;
	st.global.u32 	[%rd57], %r46;
	add.s64 	%rd172, %rd166, 32;
	setp.eq.s64 	%p19, %rd55, 1;
	@%p19 bra 	$L__BB1_25;

	ld.global.u32 	%r47, [%rd56+128];
	st.global.u32 	[%rd57+128], %r47;
	add.s64 	%rd172, %rd166, 64;
	setp.eq.s64 	%p20, %rd55, 2;
	@%p20 bra 	$L__BB1_25;

	ld.global.u32 	%r48, [%rd56+256];
	st.global.u32 	[%rd57+256], %r48;
	add.s64 	%rd172, %rd166, 96;

$L__BB1_25:
	setp.lt.u64 	%p21, %rd54, 96;
	@%p21 bra 	$L__BB1_41;

$L__BB1_26:
	shl.b64 	%rd138, %rd172, 2;
	add.s64 	%rd139, %rd27, %rd138;
	ld.global.u32 	%r49, [%rd139];
	add.s64 	%rd140, %rd24, %rd138;
	st.global.u32 	[%rd140], %r49;
	ld.global.u32 	%r50, [%rd139+128];
	st.global.u32 	[%rd140+128], %r50;
	ld.global.u32 	%r51, [%rd139+256];
	st.global.u32 	[%rd140+256], %r51;
	ld.global.u32 	%r52, [%rd139+384];
	st.global.u32 	[%rd140+384], %r52;
	add.s64 	%rd172, %rd172, 128;
	setp.lt.u64 	%p22, %rd172, %rd35;
	@%p22 bra 	$L__BB1_26;

$L__BB1_41:
	add.s64 	%rd160, %rd160, %rd10;
	setp.lt.u64 	%p35, %rd160, %rd7;
	@%p35 bra 	$L__BB1_2;

$L__BB1_42:
	ret;

}
	// .globl	stator_permute
.visible .entry stator_permute(
	.param .u64 stator_permute_param_0,
	.param .u64 stator_permute_param_1,
	.param .u64 stator_permute_param_2
)
{
	.reg .pred 	%p<16>;
	.reg .b32 	%r<45>;
	.reg .b64 	%rd<188>;


	ld.param.u64 	%rd65, [stator_permute_param_0];
	ld.param.u64 	%rd66, [stator_permute_param_1];
	ld.param.u64 	%rd67, [stator_permute_param_2];
	cvta.to.global.u64 	%rd1, %rd65;
	cvta.to.global.u64 	%rd2, %rd67;
	or.b64  	%rd68, %rd66, %rd65;
	ld.global.u64 	%rd69, [%rd2+96];
	or.b64  	%rd70, %rd68, %rd69;
	ld.global.u64 	%rd71, [%rd2+32];
	or.b64  	%rd72, %rd71, %rd70;
	ld.global.u64 	%rd73, [%rd2+64];
	or.b64  	%rd74, %rd72, %rd73;
	ld.global.u64 	%rd75, [%rd2+40];
	or.b64  	%rd76, %rd75, %rd74;
	ld.global.u64 	%rd77, [%rd2+72];
	or.b64  	%rd78, %rd76, %rd77;
	ld.global.u64 	%rd79, [%rd2+48];
	or.b64  	%rd80, %rd79, %rd78;
	ld.global.u64 	%rd81, [%rd2+80];
	or.b64  	%rd82, %rd80, %rd81;
	ld.global.u64 	%rd83, [%rd2+56];
	or.b64  	%rd84, %rd83, %rd82;
	ld.global.u64 	%rd85, [%rd2+88];
	or.b64  	%rd86, %rd84, %rd85;
	cvta.to.global.u64 	%rd3, %rd66;
	and.b64  	%rd4, %rd86, 15;
	setp.eq.s64 	%p1, %rd4, 0;
	selp.b64 	%rd5, 16, 4, %p1;
	selp.b64 	%rd87, 4, 2, %p1;
	cvt.u32.u64 	%r1, %rd87;
	shr.u64 	%rd6, %rd69, %r1;
	ld.global.u64 	%rd88, [%rd2];
	mul.lo.s64 	%rd89, %rd88, %rd6;
	ld.global.u64 	%rd90, [%rd2+8];
	mul.lo.s64 	%rd91, %rd89, %rd90;
	ld.global.u64 	%rd92, [%rd2+16];
	mul.lo.s64 	%rd93, %rd91, %rd92;
	ld.global.u64 	%rd94, [%rd2+24];
	mul.lo.s64 	%rd7, %rd93, %rd94;
	mov.u32 	%r2, %ctaid.x;
	mov.u32 	%r3, %ntid.x;
	cvt.u64.u32 	%rd8, %r3;
	mul.wide.u32 	%rd95, %r2, %r3;
	mov.u32 	%r4, %tid.x;
	cvt.u64.u32 	%rd96, %r4;
	add.s64 	%rd182, %rd95, %rd96;
	setp.ge.u64 	%p2, %rd182, %rd7;
	@%p2 bra 	$L__BB2_34;

	mov.u32 	%r5, %nctaid.x;
	cvt.u64.u32 	%rd97, %r5;
	mul.lo.s64 	%rd10, %rd97, %rd8;
	@%p1 bra 	$L__BB2_18;

$L__BB2_2:
	or.b64  	%rd98, %rd182, %rd6;
	and.b64  	%rd99, %rd98, -4294967296;
	setp.eq.s64 	%p4, %rd99, 0;
	@%p4 bra 	$L__BB2_4;

	div.u64 	%rd177, %rd182, %rd6;
	bra.uni 	$L__BB2_5;

$L__BB2_4:
	cvt.u32.u64 	%r6, %rd6;
	cvt.u32.u64 	%r7, %rd182;
	div.u32 	%r8, %r7, %r6;
	cvt.u64.u32 	%rd177, %r8;

$L__BB2_5:
	ld.global.u64 	%rd15, [%rd2+24];
	or.b64  	%rd100, %rd177, %rd15;
	and.b64  	%rd101, %rd100, -4294967296;
	setp.eq.s64 	%p5, %rd101, 0;
	@%p5 bra 	$L__BB2_7;

	div.u64 	%rd178, %rd177, %rd15;
	bra.uni 	$L__BB2_8;

$L__BB2_7:
	cvt.u32.u64 	%r9, %rd15;
	cvt.u32.u64 	%r10, %rd177;
	div.u32 	%r11, %r10, %r9;
	cvt.u64.u32 	%rd178, %r11;

$L__BB2_8:
	mul.lo.s64 	%rd102, %rd177, %rd6;
	sub.s64 	%rd103, %rd182, %rd102;
	mul.lo.s64 	%rd104, %rd103, %rd5;
	mul.lo.s64 	%rd105, %rd178, %rd15;
	sub.s64 	%rd106, %rd177, %rd105;
	ld.global.u64 	%rd107, [%rd2+56];
	mul.lo.s64 	%rd108, %rd106, %rd107;
	add.s64 	%rd19, %rd108, %rd104;
	ld.global.u64 	%rd109, [%rd2+88];
	mul.lo.s64 	%rd110, %rd106, %rd109;
	add.s64 	%rd20, %rd110, %rd104;
	ld.global.u64 	%rd21, [%rd2+16];
	or.b64  	%rd111, %rd178, %rd21;
	and.b64  	%rd112, %rd111, -4294967296;
	setp.eq.s64 	%p6, %rd112, 0;
	@%p6 bra 	$L__BB2_10;

	div.u64 	%rd179, %rd178, %rd21;
	bra.uni 	$L__BB2_11;

$L__BB2_10:
	cvt.u32.u64 	%r12, %rd21;
	cvt.u32.u64 	%r13, %rd178;
	div.u32 	%r14, %r13, %r12;
	cvt.u64.u32 	%rd179, %r14;

$L__BB2_11:
	mul.lo.s64 	%rd113, %rd179, %rd21;
	sub.s64 	%rd114, %rd178, %rd113;
	ld.global.u64 	%rd115, [%rd2+48];
	mul.lo.s64 	%rd116, %rd114, %rd115;
	add.s64 	%rd25, %rd116, %rd19;
	ld.global.u64 	%rd117, [%rd2+80];
	mul.lo.s64 	%rd118, %rd114, %rd117;
	add.s64 	%rd26, %rd118, %rd20;
	ld.global.u64 	%rd27, [%rd2+8];
	or.b64  	%rd119, %rd179, %rd27;
	and.b64  	%rd120, %rd119, -4294967296;
	setp.eq.s64 	%p7, %rd120, 0;
	@%p7 bra 	$L__BB2_13;

	div.u64 	%rd180, %rd179, %rd27;
	bra.uni 	$L__BB2_14;

$L__BB2_13:
	cvt.u32.u64 	%r15, %rd27;
	cvt.u32.u64 	%r16, %rd179;
	div.u32 	%r17, %r16, %r15;
	cvt.u64.u32 	%rd180, %r17;

$L__BB2_14:
	mul.lo.s64 	%rd121, %rd180, %rd27;
	sub.s64 	%rd122, %rd179, %rd121;
	ld.global.u64 	%rd123, [%rd2+40];
	mul.lo.s64 	%rd124, %rd122, %rd123;
	add.s64 	%rd31, %rd124, %rd25;
	ld.global.u64 	%rd125, [%rd2+72];
	mul.lo.s64 	%rd126, %rd122, %rd125;
	add.s64 	%rd32, %rd126, %rd26;
	ld.global.u64 	%rd33, [%rd2];
	or.b64  	%rd127, %rd180, %rd33;
	and.b64  	%rd128, %rd127, -4294967296;
	setp.eq.s64 	%p8, %rd128, 0;
	@%p8 bra 	$L__BB2_16;

	rem.u64 	%rd181, %rd180, %rd33;
	bra.uni 	$L__BB2_17;

$L__BB2_16:
	cvt.u32.u64 	%r18, %rd33;
	cvt.u32.u64 	%r19, %rd180;
	rem.u32 	%r20, %r19, %r18;
	cvt.u64.u32 	%rd181, %r20;

$L__BB2_17:
	ld.global.u64 	%rd129, [%rd2+32];
	mul.lo.s64 	%rd130, %rd181, %rd129;
	add.s64 	%rd131, %rd130, %rd31;
	ld.global.u64 	%rd132, [%rd2+64];
	mul.lo.s64 	%rd133, %rd181, %rd132;
	add.s64 	%rd134, %rd133, %rd32;
	add.s64 	%rd135, %rd3, %rd131;
	ld.global.u32 	%r21, [%rd135];
	add.s64 	%rd136, %rd1, %rd134;
	st.global.u32 	[%rd136], %r21;
	add.s64 	%rd182, %rd182, %rd10;
	setp.lt.u64 	%p9, %rd182, %rd7;
	@%p9 bra 	$L__BB2_2;
	bra.uni 	$L__BB2_34;

$L__BB2_18:
	or.b64  	%rd137, %rd182, %rd6;
	and.b64  	%rd138, %rd137, -4294967296;
	setp.eq.s64 	%p10, %rd138, 0;
	@%p10 bra 	$L__BB2_20;

	div.u64 	%rd183, %rd182, %rd6;
	bra.uni 	$L__BB2_21;

$L__BB2_20:
	cvt.u32.u64 	%r22, %rd6;
	cvt.u32.u64 	%r23, %rd182;
	div.u32 	%r24, %r23, %r22;
	cvt.u64.u32 	%rd183, %r24;

$L__BB2_21:
	ld.global.u64 	%rd42, [%rd2+24];
	or.b64  	%rd139, %rd183, %rd42;
	and.b64  	%rd140, %rd139, -4294967296;
	setp.eq.s64 	%p11, %rd140, 0;
	@%p11 bra 	$L__BB2_23;

	div.u64 	%rd184, %rd183, %rd42;
	bra.uni 	$L__BB2_24;

$L__BB2_23:
	cvt.u32.u64 	%r25, %rd42;
	cvt.u32.u64 	%r26, %rd183;
	div.u32 	%r27, %r26, %r25;
	cvt.u64.u32 	%rd184, %r27;

$L__BB2_24:
	mul.lo.s64 	%rd141, %rd183, %rd6;
	sub.s64 	%rd142, %rd182, %rd141;
	mul.lo.s64 	%rd143, %rd142, %rd5;
	mul.lo.s64 	%rd144, %rd184, %rd42;
	sub.s64 	%rd145, %rd183, %rd144;
	ld.global.u64 	%rd146, [%rd2+56];
	mul.lo.s64 	%rd147, %rd145, %rd146;
	add.s64 	%rd46, %rd147, %rd143;
	ld.global.u64 	%rd148, [%rd2+88];
	mul.lo.s64 	%rd149, %rd145, %rd148;
	add.s64 	%rd47, %rd149, %rd143;
	ld.global.u64 	%rd48, [%rd2+16];
	or.b64  	%rd150, %rd184, %rd48;
	and.b64  	%rd151, %rd150, -4294967296;
	setp.eq.s64 	%p12, %rd151, 0;
	@%p12 bra 	$L__BB2_26;

	div.u64 	%rd185, %rd184, %rd48;
	bra.uni 	$L__BB2_27;

$L__BB2_26:
	cvt.u32.u64 	%r28, %rd48;
	cvt.u32.u64 	%r29, %rd184;
	div.u32 	%r30, %r29, %r28;
	cvt.u64.u32 	%rd185, %r30;

$L__BB2_27:
	mul.lo.s64 	%rd152, %rd185, %rd48;
	sub.s64 	%rd153, %rd184, %rd152;
	ld.global.u64 	%rd154, [%rd2+48];
	mul.lo.s64 	%rd155, %rd153, %rd154;
	add.s64 	%rd52, %rd155, %rd46;
	ld.global.u64 	%rd156, [%rd2+80];
	mul.lo.s64 	%rd157, %rd153, %rd156;
	add.s64 	%rd53, %rd157, %rd47;
	ld.global.u64 	%rd54, [%rd2+8];
	or.b64  	%rd158, %rd185, %rd54;
	and.b64  	%rd159, %rd158, -4294967296;
	setp.eq.s64 	%p13, %rd159, 0;
	@%p13 bra 	$L__BB2_29;

	div.u64 	%rd186, %rd185, %rd54;
	bra.uni 	$L__BB2_30;

$L__BB2_29:
	cvt.u32.u64 	%r31, %rd54;
	cvt.u32.u64 	%r32, %rd185;
	div.u32 	%r33, %r32, %r31;
	cvt.u64.u32 	%rd186, %r33;

$L__BB2_30:
	mul.lo.s64 	%rd160, %rd186, %rd54;
	sub.s64 	%rd161, %rd185, %rd160;
	ld.global.u64 	%rd162, [%rd2+40];
	mul.lo.s64 	%rd163, %rd161, %rd162;
	add.s64 	%rd58, %rd163, %rd52;
	ld.global.u64 	%rd164, [%rd2+72];
	mul.lo.s64 	%rd165, %rd161, %rd164;
	add.s64 	%rd59, %rd165, %rd53;
	ld.global.u64 	%rd60, [%rd2];
	or.b64  	%rd166, %rd186, %rd60;
	and.b64  	%rd167, %rd166, -4294967296;
	setp.eq.s64 	%p14, %rd167, 0;
	@%p14 bra 	$L__BB2_32;

	rem.u64 	%rd187, %rd186, %rd60;
	bra.uni 	$L__BB2_33;

$L__BB2_32:
	cvt.u32.u64 	%r34, %rd60;
	cvt.u32.u64 	%r35, %rd186;
	rem.u32 	%r36, %r35, %r34;
	cvt.u64.u32 	%rd187, %r36;

$L__BB2_33:
	ld.global.u64 	%rd168, [%rd2+32];
	mul.lo.s64 	%rd169, %rd187, %rd168;
	add.s64 	%rd170, %rd169, %rd58;
	ld.global.u64 	%rd171, [%rd2+64];
	mul.lo.s64 	%rd172, %rd187, %rd171;
	add.s64 	%rd173, %rd172, %rd59;
	add.s64 	%rd174, %rd1, %rd173;
	add.s64 	%rd175, %rd3, %rd170;
	ld.global.v4.u32 	{%r37, %r38, %r39, %r40}, [%rd175];
	st.global.v4.u32 	[%rd174], {%r37, %r38, %r39, %r40};
	add.s64 	%rd182, %rd182, %rd10;
	setp.lt.u64 	%p15, %rd182, %rd7;
	@%p15 bra 	$L__BB2_18;

$L__BB2_34:
	ret;

}
	// .globl	stator_fp8_to_bf16
.visible .entry stator_fp8_to_bf16(
	.param .u64 stator_fp8_to_bf16_param_0,
	.param .u64 stator_fp8_to_bf16_param_1,
	.param .u64 stator_fp8_to_bf16_param_2,
	.param .u64 stator_fp8_to_bf16_param_3,
	.param .u64 stator_fp8_to_bf16_param_4
)
{
	.reg .pred 	%p<9>;
	.reg .b16 	%rs<6>;
	.reg .f32 	%f<6>;
	.reg .b32 	%r<31>;
	.reg .b64 	%rd<29>;


	ld.param.u64 	%rd12, [stator_fp8_to_bf16_param_0];
	ld.param.u64 	%rd13, [stator_fp8_to_bf16_param_1];
	ld.param.u64 	%rd14, [stator_fp8_to_bf16_param_2];
	ld.param.u64 	%rd15, [stator_fp8_to_bf16_param_3];
	ld.param.u64 	%rd16, [stator_fp8_to_bf16_param_4];
	mov.u32 	%r6, %ctaid.x;
	mov.u32 	%r7, %ntid.x;
	cvt.u64.u32 	%rd1, %r7;
	mul.wide.u32 	%rd17, %r6, %r7;
	mov.u32 	%r8, %tid.x;
	cvt.u64.u32 	%rd18, %r8;
	add.s64 	%rd27, %rd17, %rd18;
	setp.ge.u64 	%p1, %rd27, %rd15;
	@%p1 bra 	$L__BB3_11;

	mov.u32 	%r9, %nctaid.x;
	cvt.u64.u32 	%rd19, %r9;
	mul.lo.s64 	%rd3, %rd19, %rd1;
	cvta.to.global.u64 	%rd4, %rd13;
	cvta.to.global.u64 	%rd5, %rd14;
	cvta.to.global.u64 	%rd6, %rd12;

$L__BB3_2:
	add.s64 	%rd20, %rd4, %rd27;
	ld.global.u8 	%rs3, [%rd20];
	cvt.u32.u16 	%r10, %rs3;
	shl.b32 	%r11, %r10, 24;
	and.b32  	%r1, %r11, -2147483648;
	shr.u16 	%rs4, %rs3, 3;
	and.b16  	%rs1, %rs4, 15;
	and.b16  	%rs2, %rs3, 7;
	setp.eq.s16 	%p2, %rs1, 15;
	setp.eq.s16 	%p3, %rs2, 7;
	and.pred  	%p4, %p3, %p2;
	@%p4 bra 	$L__BB3_6;
	bra.uni 	$L__BB3_3;

$L__BB3_6:
	or.b32  	%r30, %r1, 2143289344;
	bra.uni 	$L__BB3_7;

$L__BB3_3:
	setp.eq.s16 	%p5, %rs1, 0;
	@%p5 bra 	$L__BB3_5;

	add.s16 	%rs5, %rs1, 120;
	cvt.u32.u16 	%r12, %rs5;
	shl.b32 	%r13, %r12, 23;
	cvt.u32.u16 	%r14, %rs2;
	shl.b32 	%r15, %r14, 20;
	or.b32  	%r16, %r15, %r1;
	or.b32  	%r30, %r16, %r13;
	bra.uni 	$L__BB3_7;

$L__BB3_5:
	cvt.rn.f32.u16 	%f1, %rs2;
	mul.rn.f32 	%f2, %f1, 0f3B000000;
	mov.b32 	%r17, %f2;
	or.b32  	%r30, %r1, %r17;

$L__BB3_7:
	or.b64  	%rd21, %rd27, %rd16;
	and.b64  	%rd22, %rd21, -4294967296;
	setp.eq.s64 	%p6, %rd22, 0;
	@%p6 bra 	$L__BB3_9;

	div.u64 	%rd28, %rd27, %rd16;
	bra.uni 	$L__BB3_10;

$L__BB3_9:
	cvt.u32.u64 	%r18, %rd16;
	cvt.u32.u64 	%r19, %rd27;
	div.u32 	%r20, %r19, %r18;
	cvt.u64.u32 	%rd28, %r20;

$L__BB3_10:
	shl.b64 	%rd23, %rd28, 2;
	add.s64 	%rd24, %rd5, %rd23;
	ld.global.f32 	%f3, [%rd24];
	mov.b32 	%f4, %r30;
	mul.rn.f32 	%f5, %f3, %f4;
	mov.b32 	%r21, %f5;
	and.b32  	%r22, %r21, 2147483647;
	setp.gt.u32 	%p7, %r22, 2139095040;
	or.b32  	%r23, %r21, 4194304;
	shr.u32 	%r24, %r21, 16;
	and.b32  	%r25, %r24, 1;
	add.s32 	%r26, %r21, %r25;
	add.s32 	%r27, %r26, 32767;
	selp.b32 	%r28, %r23, %r27, %p7;
	shr.u32 	%r29, %r28, 16;
	shl.b64 	%rd25, %rd27, 1;
	add.s64 	%rd26, %rd6, %rd25;
	st.global.u16 	[%rd26], %r29;
	add.s64 	%rd27, %rd27, %rd3;
	setp.lt.u64 	%p8, %rd27, %rd15;
	@%p8 bra 	$L__BB3_2;

$L__BB3_11:
	ret;

}
	// .globl	stator_bf16_to_fp8
.visible .entry stator_bf16_to_fp8(
	.param .u64 stator_bf16_to_fp8_param_0,
	.param .u64 stator_bf16_to_fp8_param_1,
	.param .u64 stator_bf16_to_fp8_param_2,
	.param .u64 stator_bf16_to_fp8_param_3,
	.param .u64 stator_bf16_to_fp8_param_4
)
{
	.reg .pred 	%p<7>;
	.reg .b16 	%rs<15>;
	.reg .f32 	%f<7>;
	.reg .b32 	%r<21>;
	.reg .b64 	%rd<29>;


	ld.param.u64 	%rd12, [stator_bf16_to_fp8_param_0];
	ld.param.u64 	%rd13, [stator_bf16_to_fp8_param_1];
	ld.param.u64 	%rd14, [stator_bf16_to_fp8_param_2];
	ld.param.u64 	%rd15, [stator_bf16_to_fp8_param_3];
	ld.param.u64 	%rd16, [stator_bf16_to_fp8_param_4];
	mov.u32 	%r4, %ctaid.x;
	mov.u32 	%r5, %ntid.x;
	cvt.u64.u32 	%rd1, %r5;
	mul.wide.u32 	%rd17, %r4, %r5;
	mov.u32 	%r6, %tid.x;
	cvt.u64.u32 	%rd18, %r6;
	add.s64 	%rd27, %rd17, %rd18;
	setp.ge.u64 	%p1, %rd27, %rd15;
	@%p1 bra 	$L__BB4_12;

	mov.u32 	%r7, %nctaid.x;
	cvt.u64.u32 	%rd19, %r7;
	mul.lo.s64 	%rd3, %rd19, %rd1;
	cvta.to.global.u64 	%rd4, %rd13;
	cvta.to.global.u64 	%rd5, %rd14;
	cvta.to.global.u64 	%rd6, %rd12;
	cvt.u32.u64 	%r8, %rd16;

$L__BB4_2:
	shl.b64 	%rd20, %rd27, 1;
	add.s64 	%rd21, %rd4, %rd20;
	ld.global.u16 	%rs1, [%rd21];
	or.b64  	%rd22, %rd27, %rd16;
	and.b64  	%rd23, %rd22, -4294967296;
	setp.eq.s64 	%p2, %rd23, 0;
	@%p2 bra 	$L__BB4_4;

	div.u64 	%rd28, %rd27, %rd16;
	bra.uni 	$L__BB4_5;

$L__BB4_4:
	cvt.u32.u64 	%r9, %rd27;
	div.u32 	%r10, %r9, %r8;
	cvt.u64.u32 	%rd28, %r10;

$L__BB4_5:
	shl.b64 	%rd24, %rd28, 2;
	add.s64 	%rd25, %rd5, %rd24;
	ld.global.f32 	%f1, [%rd25];
	cvt.u32.u16 	%r11, %rs1;
	shl.b32 	%r12, %r11, 16;
	mov.b32 	%f2, %r12;
	div.rn.f32 	%f3, %f2, %f1;
	mov.b32 	%r1, %f3;
	shr.u32 	%r13, %r1, 24;
	and.b32  	%r2, %r13, 128;
	and.b32  	%r3, %r1, 2147483647;
	setp.gt.u32 	%p3, %r3, 2139095040;
	mov.u16 	%rs14, 127;
	@%p3 bra 	$L__BB4_11;

	setp.gt.u32 	%p4, %r3, 1138753535;
	@%p4 bra 	$L__BB4_10;
	bra.uni 	$L__BB4_7;

$L__BB4_10:
	cvt.u16.u32 	%rs13, %r2;
	or.b16  	%rs14, %rs13, 126;
	bra.uni 	$L__BB4_11;

$L__BB4_7:
	setp.lt.u32 	%p5, %r3, 1015021568;
	@%p5 bra 	$L__BB4_9;
	bra.uni 	$L__BB4_8;

$L__BB4_9:
	mov.b32 	%f4, %r3;
	mul.rn.f32 	%f5, %f4, 0f44000000;
	add.rn.f32 	%f6, %f5, 0f4B000000;
	mov.b32 	%r20, %f6;
	cvt.u16.u32 	%rs10, %r2;
	cvt.u16.u32 	%rs11, %r20;
	and.b16  	%rs12, %rs11, 15;
	or.b16  	%rs14, %rs12, %rs10;
	bra.uni 	$L__BB4_11;

$L__BB4_8:
	shr.u32 	%r14, %r1, 20;
	and.b32  	%r15, %r14, 1;
	add.s32 	%r16, %r1, %r15;
	add.s32 	%r17, %r16, 524287;
	shr.u32 	%r18, %r17, 20;
	add.s32 	%r19, %r18, 64;
	cvt.u16.u32 	%rs7, %r19;
	and.b16  	%rs8, %rs7, 127;
	cvt.u16.u32 	%rs9, %r2;
	or.b16  	%rs14, %rs8, %rs9;

$L__BB4_11:
	add.s64 	%rd26, %rd6, %rd27;
	st.global.u8 	[%rd26], %rs14;
	add.s64 	%rd27, %rd27, %rd3;
	setp.lt.u64 	%p6, %rd27, %rd15;
	@%p6 bra 	$L__BB4_2;

$L__BB4_12:
	ret;

}
	// .globl	stator_checksum
.visible .entry stator_checksum(
	.param .u64 stator_checksum_param_0,
	.param .u64 stator_checksum_param_1,
	.param .u64 stator_checksum_param_2,
	.param .u32 stator_checksum_param_3
)
{
	.reg .pred 	%p<6>;
	.reg .b32 	%r<20>;
	.reg .b64 	%rd<44>;


	ld.param.u64 	%rd21, [stator_checksum_param_0];
	ld.param.u64 	%rd22, [stator_checksum_param_1];
	ld.param.u64 	%rd23, [stator_checksum_param_2];
	ld.param.u32 	%rd24, [stator_checksum_param_3];
	add.s64 	%rd25, %rd23, 2047;
	shr.u64 	%rd1, %rd25, 11;
	mul.lo.s64 	%rd2, %rd1, %rd24;
	mov.u32 	%r4, %ctaid.x;
	mov.u32 	%r5, %ntid.x;
	cvt.u64.u32 	%rd3, %r5;
	mul.wide.u32 	%rd26, %r4, %r5;
	mov.u32 	%r6, %tid.x;
	cvt.u64.u32 	%rd27, %r6;
	add.s64 	%rd4, %rd26, %rd27;
	shr.u64 	%rd41, %rd4, 5;
	setp.ge.u64 	%p1, %rd41, %rd2;
	@%p1 bra 	$L__BB5_9;

	mov.u32 	%r7, %nctaid.x;
	cvt.u64.u32 	%rd28, %r7;
	mul.lo.s64 	%rd29, %rd28, %rd3;
	shr.u64 	%rd6, %rd29, 5;
	and.b64  	%rd7, %rd4, 31;
	cvta.to.global.u64 	%rd8, %rd22;
	cvta.to.global.u64 	%rd9, %rd21;
	cvt.u32.u64 	%r8, %rd1;

$L__BB5_2:
	or.b64  	%rd30, %rd41, %rd1;
	and.b64  	%rd31, %rd30, -4294967296;
	setp.eq.s64 	%p2, %rd31, 0;
	@%p2 bra 	$L__BB5_4;

	div.u64 	%rd42, %rd41, %rd1;
	bra.uni 	$L__BB5_5;

$L__BB5_4:
	cvt.u32.u64 	%r9, %rd41;
	div.u32 	%r10, %r9, %r8;
	cvt.u64.u32 	%rd42, %r10;

$L__BB5_5:
	mul.lo.s64 	%rd32, %rd42, %rd1;
	sub.s64 	%rd33, %rd41, %rd32;
	shl.b64 	%rd34, %rd33, 11;
	add.s64 	%rd35, %rd34, 2048;
	min.u64 	%rd14, %rd35, %rd23;
	shl.b64 	%rd36, %rd42, 3;
	add.s64 	%rd15, %rd8, %rd36;
	or.b64  	%rd43, %rd34, %rd7;
	setp.ge.u64 	%p3, %rd43, %rd14;
	mov.u32 	%r19, 0;
	@%p3 bra 	$L__BB5_8;

	ld.global.u64 	%rd17, [%rd15];
	mov.u32 	%r19, 0;

$L__BB5_7:
	cvt.u32.u64 	%r13, %rd43;
	shl.b32 	%r14, %r13, 1;
	or.b32  	%r15, %r14, 1;
	shl.b64 	%rd37, %rd43, 2;
	add.s64 	%rd38, %rd17, %rd37;
	ld.u32 	%r16, [%rd38];
	mad.lo.s32 	%r19, %r16, %r15, %r19;
	add.s64 	%rd43, %rd43, 32;
	setp.lt.u64 	%p4, %rd43, %rd14;
	@%p4 bra 	$L__BB5_7;

$L__BB5_8:
	shl.b64 	%rd39, %rd42, 2;
	add.s64 	%rd40, %rd9, %rd39;
	red.global.add.u32 	[%rd40], %r19;
	add.s64 	%rd41, %rd41, %rd6;
	setp.lt.u64 	%p5, %rd41, %rd2;
	@%p5 bra 	$L__BB5_2;

$L__BB5_9:
	ret;

}
`;
